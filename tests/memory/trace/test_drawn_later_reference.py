"""Formulas against traces of a third set of drawn settings: each once differed for a reason of its own."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree_on
from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.001, 0.002
BERT, BLOOM, QWEN = "distilbert/distilbert-base-uncased", "bigscience/bloom-560m", "Qwen/Qwen3-0.6B"
ADAPTED: dict[str, Any] = {
    "method": "lora", "weights": "bf16", "gradients": "fp32", "optimizer_states": "fp32", "lora": Lora(8, 16),
}  # fmt: skip


@pytest.mark.parametrize("weights", ["bf16", "nf4", "int8"])
@pytest.mark.parametrize("checkpointing", ["reentrant", "non-reentrant"])
def test_bloom_holds_probabilities_of_the_layer_before_as_wide_as_quantized_products(
    weights: str, checkpointing: str
) -> None:
    """bitsandbytes gives results in the dtype of a norm's, which autocast leaves in float32; others are 16-bit."""
    method = "qlora" if weights == "nf4" else "lora"
    fields = {**ADAPTED, "method": method, "weights": weights, "amp": True, "stack": Stack("trl", "chunked")}
    if weights != "bf16":  # TRL casts adapters on quantized weights back
        fields |= {"gradients": "bf16", "optimizer_states": "bf16", "lora": Lora(8, 16, dtype="bf16")}
    _agrees(BLOOM, 3, {**fields, "gradient_checkpointing": checkpointing, "sequence_length": 1024})


@pytest.mark.parametrize("checkpointing", ["reentrant", "non-reentrant"])
@pytest.mark.parametrize(
    ("name", "stack", "head"),
    [
        (QWEN, Stack("plain", result="next"), "causal-lm"),
        (QWEN, Stack("plain", result="step"), "causal-lm"),
        (QWEN, Stack("plain", "sum"), "causal-lm"),
        (BERT, Stack("plain", "sum"), "masked-lm"),
    ],
)
def test_a_named_result_keeps_the_embeddings_that_checkpoints_made_a_leaf_and_their_gradient(
    name: str, stack: Stack, head: str, checkpointing: str
) -> None:
    """The graph of logits ends in them; backward frees what nodes have saved, but neither a leaf nor its gradient."""
    _agrees(name, 2, {**ADAPTED, "stack": stack, "head": head, "gradient_checkpointing": checkpointing})


def test_gemma_4_masks_no_window_that_no_image_needs() -> None:
    """Since transformers 5.13 a batch that names no image gets the masks of a text model."""
    _agrees("google/gemma-4-31B-it", 6, {**ADAPTED, "sequence_length": 512})


@pytest.mark.parametrize("name", ["microsoft/Phi-3-mini-4k-instruct", QWEN])
def test_a_magnitude_is_summed_when_what_a_checkpoint_unpacked_is_gone(name: str) -> None:
    """The engine sums the gradient of DoRA's factor once the node has returned, which lets go of the saved product.

    A GPU's kernel stages partial sums meanwhile, so that this is the fullest moment.
    """
    adapted = {**ADAPTED, "lora": Lora(8, 16, ("gate_proj", "up_proj", "gate_up_proj"), dora=True)}
    mixed = {"weights": "fp32", "amp": True, "gradient_checkpointing": "non-reentrant", "sequence_length": 1024}
    _agrees(name, 2, {**adapted, **mixed, "stack": Stack("trl", "chunked"), "gpu": "H100 SXM5 80GB"})


def _agrees(name: str, layers: int, fields: dict[str, Any]) -> None:
    setting = Setting(**{"model": name, "batch_size": 2, "sequence_length": 256, "optimizer": "sgd", **fields})
    agree_on(setting, _with_few_words(name, layers), peak=PEAK, elsewhere=ELSEWHERE)


def _with_few_words(name: str, layers: int) -> ModelFacts:
    """Logits of so few words are not the most, and leave room to see what lies beneath."""
    facts = cut(name, layers)
    config = dict(facts.config)
    text = config.get("text_config")
    inner = dict(text) if isinstance(text, dict) else config
    inner.update({key: 0 for key in ("pad_token_id", "bos_token_id", "eos_token_id") if key in inner}, vocab_size=500)
    return model_from_config({**config, "text_config": inner} if isinstance(text, dict) else inner, name)
