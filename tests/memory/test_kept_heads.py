"""Keys and values that a layer keeps: of every query head where the code repeats them before they are cached."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture import architecture_of
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.caches.kv_cache import cached_elements, kept_elements
from toolkit.memory.formula.ends.chunked_loss import ChunkedProduct
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting, Stack


def facts(name: str) -> ModelFacts:
    found = load_model(name)
    assert isinstance(found, ModelFacts)
    return found


@pytest.mark.parametrize(
    ("name", "needed", "kept"),
    [
        ("tiiuae/falcon-40b", 2 * 8 * 64, 2 * 128 * 64),  # transformers modeling_falcon.py, _split_heads; config.json
        ("tiiuae/falcon-7b", 2 * 64, 2 * 64),
        ("mistralai/Mistral-7B-v0.1", 2 * 8 * 128, 2 * 8 * 128),
    ],
)
def test_falcon_keeps_what_it_has_repeated(name: str, needed: int, kept: int) -> None:
    [kind] = architecture_of(facts(name)).layers
    assert cached_elements(kind) == needed
    assert kept_elements(kind) == kept


def rows_of_a_loss(phase: PhaseName, **versions: str) -> int:
    stack = Stack("trl", "chunked", versions)
    setting = Setting("Qwen/Qwen2.5-0.5B", "full", "bf16", batch_size=4, sequence_length=2048, stack=stack)
    found = estimate(setting, facts(setting.model)).ledger.phase(phase)
    assert found is not None
    return sum(row.bytes for row in found.rows if row.name in ("logits", "loss_weight_copy"))


def test_a_chunked_loss_is_that_of_the_stated_trl() -> None:
    """256 tokens of the whole vocabulary until 1.14, then 4,096 tokens of 32,768 entries (trl/kernels of 1.15)."""
    weight = 151_936 * 896
    assert rows_of_a_loss(PhaseName.BACKWARD, trl="1.12.0") == weight * 4  # h.float() @ w.float().t()
    assert rows_of_a_loss(PhaseName.BACKWARD, trl="1.13.0") == 0  # (h @ w.to(h.dtype).t()).float()
    assert rows_of_a_loss(PhaseName.BACKWARD, trl="1.14.0") == 0
    assert rows_of_a_loss(PhaseName.BACKWARD, trl="1.15.0") == 4096 * 32_768 * 2


@pytest.mark.parametrize(
    ("first", "amp", "product", "made", "saved", "gradient"),
    [
        ("fp32", None, "fp32", 4, 4, 4),  # until 1.12: h.float() @ w.float().t()
        ("fp32", "bf16", "bf16", 6, 2, 6),  # of which autocast takes copies, the last of which backward multiplies by
        ("bf16", None, "bf16", 0, 0, 2),  # since 1.13: h @ w.to(h.dtype).t()
        ("bf16", "bf16", "bf16", 0, 0, 2),
    ],
)
def test_copies_of_a_chunks_weight(
    first: str, amp: str | None, product: str, made: int, saved: int, gradient: int
) -> None:
    projection = LinearForm(896, 1000, dtype="bf16", autocast=amp)
    chunk = ChunkedProduct(projection, first, product, "fp32")
    assert [size.fixed for size in (chunk.made, chunk.saved, chunk.gradient)] == [
        896_000 * bytes_each for bytes_each in (made, saved, gradient)
    ]


@pytest.mark.parametrize(
    ("version", "each"),
    [
        ("4.44.2", 4),  # the model made them float32, labels or not (modeling_llama.py)
        ("4.49.0", 2),  # only before its own loss (loss/loss_utils.py, ForCausalLMLoss)
        ("5.23.0", 2),
    ],
)
def test_a_loop_takes_the_loss_of_logits_as_they_are_given(version: str, each: int) -> None:
    """CrossEntropyLoss saves its log-probabilities in their dtype, and gives them and the logits gradients in it."""
    stack = Stack("plain", "from-logits", {"transformers": version})
    setting = Setting("meta-llama/Llama-3.1-8B", "full", "bf16", batch_size=2, sequence_length=8192, stack=stack)
    backward = estimate(setting, facts(setting.model)).ledger.phase(PhaseName.BACKWARD)
    assert backward is not None
    logits = 2 * 8192 * 128_256 * each
    rows = {row.name: row.bytes for row in backward.rows}
    assert (rows["log_probabilities"], rows["logits_gradient"]) == (logits, 2 * logits)


@pytest.mark.parametrize(
    ("model", "trainer", "head"),
    [
        ("meta-llama/Llama-3.1-8B", "transformers", "causal-lm"),
        ("meta-llama/Llama-3.1-8B", "plain", "sequence-classification"),
        ("google-t5/t5-small", "plain", "causal-lm"),
    ],
)
def test_which_losses_from_logits_are_not_followed(model: str, trainer: str, head: str) -> None:
    labels = 0 if head == "causal-lm" else 2
    setting = Setting(model, "full", "bf16", head, labels, stack=Stack(trainer, "from-logits"))
    with pytest.raises(UnsupportedRow, match="from-logits except of language models in plain loops"):
        estimate(setting, facts(model))
