"""One row of the registry: its formula in words, its source, its function, and the fields that move it."""

from __future__ import annotations

from collections.abc import Callable

from toolkit.frozen import frozen
from toolkit.memory.context import Context
from toolkit.memory.ledger import Category, PhaseName

RowFunction = Callable[[Context, PhaseName], int]

LOAD, FORWARD, BACKWARD, STEP = (
    PhaseName.LOAD,
    PhaseName.FORWARD_END,
    PhaseName.BACKWARD,
    PhaseName.OPTIMIZER_STEP,
)
PREFILL, DECODE, SERVE = PhaseName.PREFILL, PhaseName.DECODE, PhaseName.SERVE
VALIDATION = PhaseName.VALIDATION
ALWAYS = (LOAD, FORWARD, BACKWARD, STEP, VALIDATION, PREFILL, DECODE)
RUNNING = (FORWARD, BACKWARD, STEP, VALIDATION, PREFILL, DECODE)
TRAINING = (FORWARD, BACKWARD, STEP, VALIDATION)
PASSES = (FORWARD, BACKWARD, VALIDATION, PREFILL, DECODE)

FORM = ("model", "method", "head", "labels", "stack", "weights", "group_size")
"""Fields that decide which modules there are and how they are stored."""
PASS = (
    *FORM,
    "double_quant",
    "compute",
    "amp",
    "upcast",
    "gradients",
    "batch_size",
    "sequence_length",
    "gradient_accumulation",
    "gradient_checkpointing",
    "padding",
    "packing",
    "samples_per_row",
    "objective",
    "reference",
    "uncached",
    "optimizer_in_backward",
    "activation_offloading",
    "attention",
    "lora",
    "peft",
    "kernels",
    "parallel",
    "validation",
)
"""Fields that decide what is alive during a pass, and which of its moments is the fullest."""


GENERATION = (*PASS, "generated_length", "answer_length", "sampling", "cache")
"""The same, and the fields that say how much is generated, and how."""


@frozen
class RowRule:
    """How one row is computed: the formula in words, its source, and the function.

    `fields` are the fields of a setting that may move it; no other field does.
    """

    name: str
    category: Category
    phases: tuple[PhaseName, ...]
    formula: str
    source: str
    function: RowFunction
    fields: tuple[str, ...]
    explanation: str


def at_fullest(name: str) -> RowFunction:
    """The function of a row that differs between the moments of a phase: its bytes at the fullest one."""

    def function(context: Context, phase: PhaseName) -> int:
        return context.at(phase, name)

    return function


def pass_row(
    name: str,
    category: Category,
    formula: str,
    source: str,
    explanation: str,
    phases: tuple[PhaseName, ...] = PASSES,
) -> RowRule:
    """A row that a tape fills."""
    return RowRule(name, category, phases, formula, source, at_fullest(name), GENERATION, explanation)
