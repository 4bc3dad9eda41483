"""What the real training code holds of a method at an optimizer step, against the rows of a ledger."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.memory.architecture.samples import small_config
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import architecture_of
from toolkit.memory.estimate import holdings
from toolkit.memory.ledger import Category
from toolkit.memory.tuners.methods import added
from toolkit.spec.settings.adapters import peft_of
from toolkit.spec.settings.setting import Setting, Stack

pytest.importorskip("peft")
trace = pytest.importorskip("toolkit.memory.trace.run")

pytestmark = pytest.mark.reference

BESIDE = (Category.ADAPTERS, Category.GRADIENTS, Category.OPTIMIZER_STATES)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("ia3", {"targets": ("k_proj", "v_proj", "down_proj")}),
        ("hira", {"targets": ("q_proj",), "rank": 8}),
        ("ln_tuning", {"targets": ("input_layernorm", "norm")}),
        ("prompt_tuning", {"num_virtual_tokens": 8}),
        ("miss", {"targets": ("q_proj", "down_proj"), "rank": 16}),
        ("lily", {"targets": ("q_proj", "down_proj"), "rank": 8, "stride_a": 2}),
        ("psoft", {"targets": ("q_proj", "down_proj"), "rank": 8}),
        ("tinylora", {"targets": ("q_proj", "down_proj"), "weight_tying": 0.5}),
    ],
)
def test_a_step_holds_what_the_rows_say(method: str, options: dict[str, Any]) -> None:
    facts = model_from_config(small_config("llama"), "llama")
    said: dict[str, Any] = {f"peft.{name}": value for name, value in options.items()}
    peft = peft_of({**said, "parallel.strategy": "none"}, method, Stack(), "bf16", "bf16")
    assert peft is not None
    setting = Setting(
        "llama", method, "bf16", peft=peft, gradients=peft.dtype, optimizer_states=peft.dtype, sequence_length=32
    )
    seen = trace.run(setting, facts)
    sizes: Counter[Category] = Counter()
    for index, kind in seen.kinds.items():
        sizes[kind] += seen.timeline.allocations[index].bytes
    phase = holdings(setting, facts).ledger.phases[-1]
    rows = {row.name: row.bytes for row in phase.rows}  # what is kept beside is no parameter to a trace
    assert sizes[Category.ADAPTERS] == rows["adapters"]
    # Two steps were traced: each makes gradients anew, and states are kept, with a count of steps for each parameter.
    assert sizes[Category.GRADIENTS] == 2 * phase.of(Category.GRADIENTS)
    parameters = sum(one.count for one in added(architecture_of(facts, "causal-lm", 0), setting) if one.trained)
    counts = sizes[Category.OPTIMIZER_STATES] - phase.of(Category.OPTIMIZER_STATES)
    assert counts == 4 * parameters
