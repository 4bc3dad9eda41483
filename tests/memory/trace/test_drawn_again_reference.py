"""Formulas against traces of a fourth set of drawn settings: each once differed for a reason of its own."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree, agree_on
from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

WHISPER = "openai/whisper-small"
ADAPTED: dict[str, Any] = {
    "method": "lora", "weights": "bf16", "gradients": "fp32", "optimizer_states": "fp32", "optimizer": "sgd",
    "lora": Lora(8, 16, ("q_proj", "v_proj")), "batch_size": 4, "sequence_length": 64, "amp": True,
}  # fmt: skip


@pytest.mark.parametrize("weights", ["bf16", "fp32"])
@pytest.mark.parametrize("checkpointing", ["reentrant", "non-reentrant"])
def test_checkpoints_make_what_whispers_first_convolution_gives_require_a_gradient(
    weights: str, checkpointing: str
) -> None:
    """That is the encoder's input by its own account: the activations and the second convolution save theirs."""
    _agrees(WHISPER, {"weights": weights, "gradient_checkpointing": checkpointing}, peak=0.002, elsewhere=0.006)


def test_a_named_result_keeps_what_whispers_first_convolution_gives_and_its_gradient() -> None:
    more = {"gradient_checkpointing": "non-reentrant", "stack": Stack("plain", result="step")}
    _agrees(WHISPER, more, peak=0.002, elsewhere=0.006)


def test_a_decoders_nodes_keep_their_inputs_while_the_encoder_goes_back() -> None:
    """Inputs of 8-bit products are attributes of nodes, which backward does not free (bitsandbytes MatMul8bitLt)."""
    _agrees(WHISPER, {"weights": "int8", "gradient_checkpointing": "non-reentrant"}, peak=0.009, elsewhere=0.006)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("checkpointing", ["false", "non-reentrant"])
@pytest.mark.parametrize("name", ["bigscience/bloom-560m", "google/gemma-2b", "openai-community/gpt2"])
def test_products_of_a_single_sequence_take_heads_as_they_lie(name: str, checkpointing: str, batch: int) -> None:
    """Torch.matmul folds batch and heads into one dimension, which needs a copy of several sequences alone."""
    more = {"method": "full", "lora": None, "amp": False, "gradients": "bf16", "optimizer_states": "bf16"}
    sizes = {"batch_size": batch, "sequence_length": 512, "attention": "eager"}
    setting = Setting(**{"model": name, **ADAPTED, **more, **sizes, "gradient_checkpointing": checkpointing})
    agree_on(setting, with_few_words(name), peak=0.0005, elsewhere=0.015)


@pytest.mark.parametrize("name", ["FacebookAI/roberta-base", "openai-community/gpt2"])
def test_a_bias_of_float32_is_taken_off_a_narrow_product_in_float32(name: str) -> None:
    """DoRA's `base_result - bias` promotes (peft, tuners/lora/dora.py), where autocast runs over float32 weights."""
    more = {"weights": "fp32", "lora": Lora(8, 16, "all-linear", dora=True), "head": "sequence-classification"}
    agree(
        Setting(**{"model": name, **ADAPTED, **more, "labels": 2, "sequence_length": 256}),
        3,
        peak=0.002,
        elsewhere=0.002,
    )


def with_few_words(name: str) -> ModelFacts:
    """Logits of so few words are not the most, and leave room to see what lies beneath."""
    facts = cut(name, 4)
    keys = {key: 0 for key in ("pad_token_id", "bos_token_id", "eos_token_id") if key in facts.config}
    return model_from_config({**facts.config, **keys, "vocab_size": 500}, name)


def _agrees(name: str, more: dict[str, Any], *, peak: float, elsewhere: float) -> None:
    agree(Setting(**{"model": name, **ADAPTED, **more}), 4, peak=peak, elsewhere=elsewhere)
