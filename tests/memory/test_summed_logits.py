"""The sum of the logits as a loss: what a benchmark's loop keeps, and what the gradient of a sum takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting, Stack

TOKENS, VOCABULARY = 4 * 256, 30_522
LOGITS = TOKENS * VOCABULARY * 2
SUMMED = Setting(
    "google-bert/bert-base-uncased",
    "full",
    "fp16",
    compute="fp16",
    gradients="fp16",
    optimizer="none",
    head="masked-lm",
    batch_size=4,
    sequence_length=256,
    stack=Stack("plain", "sum"),
)
ALBERT = replace(
    SUMMED,
    model="albert/albert-base-v2",
    gpu="RTX 2080 Ti",
    stack=Stack("plain", "sum", {"transformers": "4.46.3", "torch": "2.3.1"}),
)


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def row(found: Estimate, phase: PhaseName, name: str) -> int:
    held = found.ledger.phase(phase)
    assert held is not None
    return sum(one.bytes for one in held.rows if one.name == name)


def test_the_last_logits_are_there_while_new_ones_are_made() -> None:
    found = of(SUMMED)
    assert row(found, PhaseName.FORWARD_END, "logits") == 2 * LOGITS
    assert row(found, PhaseName.BACKWARD, "logits") == LOGITS
    assert row(found, PhaseName.OPTIMIZER_STEP, "named_result") == LOGITS
    assert row(of(replace(SUMMED, stack=Stack("plain"))), PhaseName.OPTIMIZER_STEP, "named_result") == 0


def test_the_gradient_of_a_sum_is_copied_for_each_product_alone() -> None:
    """A product takes no matrix whose elements are one number; no loss has log-probabilities."""
    found = of(SUMMED)
    assert row(found, PhaseName.BACKWARD, "logits_gradient") == LOGITS
    assert row(found, PhaseName.BACKWARD, "log_probabilities") == 0


def test_keys_and_values_of_a_named_result_stay() -> None:
    """GPT-2: those of transformers before 4.56 are views of what the joined projection gave."""
    versions = {"transformers": "4.42.4"}
    gpt2 = replace(SUMMED, model="openai-community/gpt2", head="causal-lm", stack=Stack("plain", "sum", versions))
    result = TOKENS * 50_257 * 2 + 12 * TOKENS * 3 * 768 * 2
    assert row(of(gpt2), PhaseName.OPTIMIZER_STEP, "named_result") == result
    copied = replace(gpt2, stack=Stack("plain", "sum", {"transformers": "5.23"}))
    result = TOKENS * 50_257 * 2 + 12 * TOKENS * 2 * 768 * 2
    assert row(of(copied), PhaseName.OPTIMIZER_STEP, "named_result") == result


@pytest.mark.parametrize(
    ("batch", "length", "attention", "printed"),
    [
        (2, 256, "eager", 416_281_000),
        (2, 256, "sdpa", 378_171_000),
        (2, 512, "eager", 868_131_000),
        (4, 512, "eager", 1_664_025_000),
        (4, 512, "sdpa", 1_363_268_000),
    ],
)
def test_published_peaks_of_albert_come_out(batch: int, length: int, attention: str, printed: int) -> None:
    """The table for albert-base-v2 in pull request 32092 of transformers: max_memory_allocated, in MB."""
    peak = of(replace(ALBERT, batch_size=batch, sequence_length=length, attention=attention)).allocated
    assert abs(peak - printed) < 0.02 * printed


def test_losses_of_other_ends_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedRow, match="sum of the logits"):
        of(replace(SUMMED, model="google-t5/t5-small", head="causal-lm"))
    with pytest.raises(UnsupportedRow, match="sum of the logits"):
        of(replace(SUMMED, stack=Stack("trl", "sum")))


@pytest.mark.parametrize(
    ("batch", "length", "attention", "printed"),
    [
        (2, 32, "sdpa", 249_684_000),
        (2, 128, "eager", 261_409_000),
        (4, 128, "sdpa", 277_040_000),
        (8, 256, "eager", 947_451_000),
        (16, 256, "sdpa", 1_553_798_000),
    ],
)
def test_published_peaks_of_electra_have_the_result_that_the_loop_names(
    batch: int, length: int, attention: str, printed: int
) -> None:
    """The table for electra-base-generator in pull request 37106 of transformers; by the sum of logits 16 % less."""
    named = replace(
        SUMMED, model="google/electra-base-generator", batch_size=batch, sequence_length=length, attention=attention,
        gpu="T4", stack=Stack("plain", "named", {"torch": "2.5.1", "transformers": "4.51.0"}),
    )  # fmt: skip
    assert of(named).allocated == pytest.approx(printed, rel=0.008)


def test_a_named_result_stays_while_the_optimizer_steps() -> None:
    named, unnamed = (of(replace(SUMMED, stack=Stack("plain", loss))) for loss in ("named", "cross-entropy"))
    assert row(named, PhaseName.OPTIMIZER_STEP, "named_result") == LOGITS
    assert row(unnamed, PhaseName.OPTIMIZER_STEP, "named_result") == 0
    assert named.allocated - unnamed.allocated == LOGITS
    with pytest.raises(UnsupportedRow, match="except of language models in a plain loop"):
        of(replace(SUMMED, head="sequence-classification", labels=2, stack=Stack("plain", "named")))
