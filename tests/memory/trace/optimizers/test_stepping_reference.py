"""Optimizers that step inside of backward: torchtune's hooks, traced, and the formulas held against them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

TIED, UNTIED, EXPERTS = "meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.1-8B", "mistralai/Mixtral-8x7B-v0.1"
STEPS = Setting(
    UNTIED, "full", "bf16", optimizer_in_backward=True, batch_size=2, sequence_length=256, stack=Stack("plain")
)
MIXED: dict[str, Any] = {"weights": "fp32", "amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
CASES: dict[str, Setting] = {
    "fused": STEPS,
    "by lists, one root of moments each": replace(STEPS, optimizer_implementation="foreach"),
    "in a loop, a root and its quotient each": replace(STEPS, optimizer_implementation="for-loop", sequence_length=64),
    "by lists, of a tied embedding": replace(STEPS, model=TIED, optimizer_implementation="foreach", sequence_length=64),
    "with checkpoints": replace(STEPS, gradient_checkpointing="non-reentrant"),
    "of an embedding that is the output weight": replace(STEPS, model=TIED),
    "under autocast": replace(STEPS, gradient_checkpointing="reentrant", **MIXED),
    "of paged states in 8 bit": replace(STEPS, optimizer="paged_adamw_8bit", optimizer_states="int8"),
    "without states": replace(STEPS, optimizer="sgd", sequence_length=64),
    "of experts": replace(STEPS, model=EXPERTS, gradient_checkpointing="non-reentrant"),
}


@pytest.mark.parametrize("setting", CASES.values(), ids=CASES)
def test_formulas_give_what_steps_in_backward_take(setting: Setting) -> None:
    agree(setting, 2, peak=0.0006, elsewhere=0.001)


def test_no_gradient_is_there_once_backward_is_done() -> None:
    together, each = (
        trace(replace(STEPS, optimizer_in_backward=said), cut(UNTIED, 1)).ledger for said in (False, True)
    )
    phases = [ledger.phase(PhaseName.OPTIMIZER_STEP) for ledger in (together, each)]
    assert phases[0] is not None
    assert phases[1] is not None
    angles = 2 * 512  # the frequencies of positions, twice, are no parameters
    assert phases[0].of(Category.GRADIENTS) == phases[0].of(Category.WEIGHTS) - angles
    assert phases[1].of(Category.GRADIENTS) == 0
    assert phases[1].of(Category.OPTIMIZER_STATES) == phases[0].of(Category.OPTIMIZER_STATES)
