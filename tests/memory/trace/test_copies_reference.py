"""Formulas of modules_to_save against traces of peft's own copies: tied, untied, quantized, checkpointed, in tiles."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

EXACT = 0.0001
"""What counters of steps and ends of small blocks are."""
NEAR = 0.003
ENDS = ("embed_tokens", "lm_head")
TIED, UNTIED = "Qwen/Qwen2.5-0.5B", "mistralai/Mistral-7B-v0.1"
AMP = {"amp": True}
PACKED = {**AMP, "method": "qlora", "weights": "nf4"}
SHORT = {"gradients": "bf16", "optimizer_states": "bf16", "dtype": "bf16"}

CASES: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "untied": (UNTIED, ENDS, {}),
    "autocast and checkpoints": (UNTIED, ENDS, {**AMP, "gradient_checkpointing": "non-reentrant"}),
    "reentrant checkpoints": (UNTIED, ("embed_tokens",), {**AMP, "gradient_checkpointing": "reentrant"}),
    "tied": (TIED, ENDS, AMP),
    "tied, the embedding alone": (TIED, ("embed_tokens",), {}),
    "tied, accumulated": (TIED, ENDS, {**AMP, "gradient_accumulation": 4}),
    "float32": (TIED, ENDS, {**AMP, "weights": "fp32"}),
    "8-bit states": (TIED, ENDS, {"optimizer": "adamw_8bit", "optimizer_states": "int8"}),
    "square roots of both dtypes": (TIED, ENDS, {"optimizer_implementation": "foreach"}),
    "one parameter after another": (TIED, ENDS, {"optimizer_implementation": "for-loop"}),
    "adafactor": (TIED, ENDS, {"optimizer": "adafactor"}),
    "states that are float32 beside any dtype": (TIED, ENDS, {"optimizer": "lion"}),
    "the same of three averages": (TIED, ENDS, {"optimizer": "ademamix"}),
    "softcapped logits": ("google/gemma-2-2b", ENDS, AMP),
    "4 bits": (UNTIED, ENDS, {**PACKED, "gradient_checkpointing": "reentrant"}),
    "4 bits that TRL casts back": (UNTIED, ENDS, {**PACKED, **SHORT, "stack": Stack("trl", versions={"trl": "0.16"})}),
    "norms": (UNTIED, ("norm",), {**AMP, "gradient_checkpointing": "reentrant"}),
    "layers": (UNTIED, ("mlp", "q_proj"), AMP),
    "Conv1D": ("openai-community/gpt2", ("wte", "lm_head", "mlp"), {"targets": ("c_attn",)}),
}
CLASSIFIER = {"head": "sequence-classification", "labels": 2, "targets": ("query", "value")}
BERT: dict[str, tuple[tuple[str, ...], dict[str, Any], float]] = {
    "pooler": (("classifier", "pooler"), CLASSIFIER, EXACT),
    "embeddings": (("word_embeddings",), CLASSIFIER, EXACT),
    "checkpoints": (("word_embeddings",), {**CLASSIFIER, **AMP, "gradient_checkpointing": "reentrant"}, NEAR),
    "decoder": (("decoder",), {"head": "masked-lm", "targets": ("query",)}, EXACT),
}  # fmt: skip


def _setting(model: str, saves: tuple[str, ...], said: dict[str, Any]) -> Setting:
    targets = said.get("targets", ("q_proj", "v_proj"))
    lora = Lora(8, 16, targets, dtype=said.get("dtype"), modules_to_save=saves)
    common = {"method": "lora", "weights": "bf16", "gradients": "fp32", "optimizer_states": "fp32"}
    fields = {**common, **{name: value for name, value in said.items() if name not in ("targets", "dtype")}}
    return Setting(model=model, batch_size=2, sequence_length=256, lora=lora, **fields)


@pytest.mark.parametrize(("model", "saves", "said"), CASES.values(), ids=CASES)
def test_copies_take_what_the_trace_sees(model: str, saves: tuple[str, ...], said: dict[str, Any]) -> None:
    agree(_setting(model, saves, said), 2, peak=EXACT, elsewhere=EXACT)


@pytest.mark.parametrize(("saves", "said", "share"), BERT.values(), ids=BERT)
def test_copies_of_an_encoder_do(saves: tuple[str, ...], said: dict[str, Any], share: float) -> None:
    agree(_setting("google-bert/bert-base-uncased", saves, said), 2, peak=share, elsewhere=2 * EXACT)


def test_a_copied_head_gives_its_gradient_in_tiles() -> None:
    pytest.importorskip("trl")
    agree(_setting(TIED, ENDS, {**AMP, "stack": Stack("trl", "chunked")}), 2, peak=EXACT, elsewhere=EXACT)
