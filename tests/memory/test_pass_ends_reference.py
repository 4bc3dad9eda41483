"""What is alive when a pass is over, against the code of transformers run on tensors without storage."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.cut import cut
from tests.memory.trace.methods import METHODS
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.pass_ends import after_backward, after_forward
from toolkit.memory.rows.phase_sizes import PhaseSizes
from toolkit.memory.timeline.timeline import Timeline
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

QWEN, GPT2, BERT, MIXTURE = (
    "Qwen/Qwen3-0.6B", "openai-community/gpt2", "google-bert/bert-base-uncased", "Qwen/Qwen3-30B-A3B",
)  # fmt: skip
SUM, NAMED = Stack("plain", "sum"), Stack("plain", "named")
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "full": (QWEN, METHODS["full"]),
    "autocast": (QWEN, METHODS["full under autocast"]),
    "checkpoints": (QWEN, METHODS["full, checkpoints"]),
    "reentrant checkpoints": (QWEN, METHODS["full, checkpoints"] | {"gradient_checkpointing": "reentrant"}),
    "lora": (QWEN, METHODS["lora"]),
    "qlora": (QWEN, METHODS["qlora"] | {"gradient_checkpointing": "false"}),
    "qlora, checkpoints": (MIXTURE, METHODS["qlora"]),
    "a result that has a name": (QWEN, METHODS["full"] | {"stack": NAMED}),
    "the same of an encoder": (BERT, METHODS["full"] | {"stack": NAMED, "head": "masked-lm"}),
    "and its cache": (QWEN, METHODS["lora"] | {"stack": SUM}),
    "a cache of views": (GPT2, METHODS["full"] | {"stack": SUM}),
    "checkpoints, named": (QWEN, METHODS["full, checkpoints"] | {"stack": SUM}),
    "until the step": (QWEN, METHODS["full"] | {"stack": Stack("plain", "cross-entropy", result="step")}),
    "until the loss": (QWEN, METHODS["full"] | {"stack": Stack("plain", "cross-entropy", result="loss")}),
}
BLOCKS = ("unsplit_blocks", "allocator_rounding")
"""Rows of what torch's allocator counts beside what is asked for."""


def left(timeline: Timeline, mark: str) -> int:
    """What is alive at the last mark of a name, in bytes."""
    event = {name: event for event, name in timeline.marks}[mark]
    return sum(timeline.allocations[index].counted for index in timeline.alive(event - 1))


def asked(phase: PhaseSizes) -> int:
    return sum(size for rule, size in phase.sizes if rule.name not in BLOCKS)


@pytest.mark.parametrize("case", CASES)
def test_the_ends_of_passes_are_those_of_real_code(case: str) -> None:
    """A step begins each phase where the pass before it has ended."""
    model, fields = CASES[case]
    facts = cut(model, 2)
    setting = Setting(model, **{"batch_size": 2, "sequence_length": 512, **fields})
    seen, context = trace(setting, facts, whole=True).timeline, estimate(setting, facts).context
    assert context is not None
    [forward], [backward] = after_forward(context), after_backward(context)
    assert asked(forward) == pytest.approx(left(seen, PhaseName.BACKWARD), rel=0.0003)
    assert asked(backward) == pytest.approx(left(seen, PhaseName.OPTIMIZER_STEP), rel=0.0001)


def test_gradients_of_passes_before_may_be_there() -> None:
    """Of two micro-batches the trace's last pass is the second; the first has none, which is the other end."""
    facts = cut(QWEN, 2)
    setting = Setting(QWEN, **{"batch_size": 2, "sequence_length": 512, "gradient_accumulation": 2, **METHODS["full"]})
    seen, context = trace(setting, facts, whole=True).timeline, estimate(setting, facts).context
    assert context is not None
    first, second = after_forward(context)
    assert asked(second) == pytest.approx(left(seen, PhaseName.BACKWARD), rel=0.0003)
    assert {rule.name: size for rule, size in second.sizes}["gradients"] == asked(second) - asked(first)
