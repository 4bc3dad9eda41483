"""The losses of DPOTrainer and GRPOTrainer, traced with their reference, and the formulas held against them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
utils = pytest.importorskip("trl.trainer.utils")

from tests.memory.trace.agree import agree, agree_on  # noqa: E402
from tests.memory.trace.cut import cut  # noqa: E402
from toolkit.memory.ledger import Category, PhaseName  # noqa: E402
from toolkit.memory.trace.trace import trace  # noqa: E402
from toolkit.spec.settings.setting import Lora, Setting, Stack  # noqa: E402

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not hasattr(utils, "add_fused_lm_head"), reason="a TRL whose head is not fused"),
]

QWEN, LLAMA, MISTRAL = "Qwen/Qwen2.5-0.5B", "meta-llama/Llama-3.2-1B", "mistralai/Mistral-7B-v0.1"
MIXED: dict[str, Any] = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
FULL = Setting(
    QWEN, "full", "bf16", objective="dpo", reference="model", batch_size=2, sequence_length=512,
    stack=Stack("trl", "chunked"),
)  # fmt: skip
LORA = replace(FULL, method="lora", reference="adapters-off", lora=Lora(8, 16), **MIXED)

CASES: dict[str, Setting] = {
    "a model of its own": FULL,
    "with checkpoints": replace(FULL, gradient_checkpointing="non-reentrant"),
    "whose weights autocast copies": replace(FULL, weights="fp32", gradient_checkpointing="reentrant", **MIXED),
    "precomputed": replace(FULL, reference="precomputed"),
    "adapters switched off": LORA,
    "with earlier gradients": replace(LORA, gradient_accumulation=4),
    "in 4 bit": replace(
        LORA, method="qlora", weights="nf4", gradients="bf16", optimizer_states="bf16", lora=Lora(8, 16, dtype="bf16"),
        gradient_checkpointing="non-reentrant",
    ),
    "padded": replace(LORA, padding=True),
    "whose layers are the fullest": replace(LORA, model=MISTRAL, sequence_length=4096),
    "long, of a model of its own": replace(FULL, model=LLAMA, sequence_length=4096),
    "attended eagerly": replace(LORA, attention="eager"),
    "rewarded": replace(FULL, objective="grpo", reference=None, batch_size=4),
    "rewarded beside a model of its own": replace(
        FULL, objective="grpo", gradient_checkpointing="non-reentrant", batch_size=4
    ),
    "rewarded, with adapters": replace(LORA, objective="grpo", gradient_checkpointing="non-reentrant"),
}  # fmt: skip


@pytest.mark.parametrize("setting", CASES.values(), ids=CASES)
def test_formulas_give_what_the_losses_of_trl_take(setting: Setting) -> None:
    agree(setting, 3, peak=0.0008, elsewhere=0.002)


def test_gradients_of_a_tied_embedding_are_added_in_place_to_those_of_tiles() -> None:
    """trl/kernels/chunked_logprob.py gives autograd a tensor that nothing else holds: more is added to it."""
    setting = replace(FULL, objective="next-token", reference=None, batch_size=1, sequence_length=256)
    agree(replace(setting, gradient_checkpointing="non-reentrant"), 9, peak=0.0008, elsewhere=0.002)


def test_the_reference_is_there_from_the_start_and_holds_the_peak_of_the_forward_pass() -> None:
    """Twice the weights; a pass through them while all of the first one's graph is there."""
    alone, beside = (trace(replace(FULL, reference=name), cut(QWEN, 2)).ledger for name in ("precomputed", "model"))
    once = alone.phases[0].of(Category.WEIGHTS)
    assert beside.phases[0].of(Category.WEIGHTS) == 2 * once
    forward = [ledger.phase(PhaseName.FORWARD_END) for ledger in (alone, beside)]
    assert forward[0] is not None
    assert forward[1] is not None
    assert forward[1].total > forward[0].total + once


def test_layers_of_both_models_are_found_alike() -> None:
    """Modules of the second have names of their own; that few layers stand for all is proven event by event."""
    assert trace(replace(FULL, sequence_length=64), cut(QWEN, 20)).how.startswith("20 layers from")


def test_a_window_has_its_own_mask_in_each_pass() -> None:
    agree_on(replace(FULL, model="google/gemma-3-270m"), cut("google/gemma-3-270m", 6), peak=0.0008, elsewhere=0.002)
