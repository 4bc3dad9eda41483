"""The moments within each phase at which memory can peak, from the programs of a model's layers and end.

Layers are alike, so what is alive changes evenly from layer to layer: the fullest moment is in the first or the last
layer that a pass goes through, or in the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from toolkit.memory.context import Context, Moment, Scale
from toolkit.memory.formula.kv_cache import growing_bytes
from toolkit.memory.formula.linear import DEQUANTIZED
from toolkit.memory.ledger import PhaseName
from toolkit.memory.program import CHECKPOINTS, Program
from toolkit.memory.size import BYTES, Alive, Size
from toolkit.memory.tape import GRADIENTS, NEW_GRADIENT

FUSED_ROWS = 1
"""Rows up to which every version of bitsandbytes multiplies by 4-bit weights as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Programs:
    """The programs of a model: of its layers, the first alone at the front, and of its end.

    `hidden` is the first layer's input. The model's code holds `passing` during its layers, and `masks`, which
    checkpoints hold until their backward.
    """

    layers: tuple[Program, ...]
    head: Program
    hidden: Size
    passing: Alive
    masks: Alive


def fullest(context: Context, programs: Programs) -> dict[PhaseName, Moment]:
    """The fullest moment of each phase; notes in the context the most that each row takes at any moment."""
    phases = _training(context, programs) if context.setting.trains else _inference(context, programs)
    widest = context.widest
    for moments in phases.values():
        for moment in moments:
            for row, size in moment.rows.items():
                if size > widest.get(row, 0):
                    widest[row] = size
    return {phase: max(moments, key=lambda moment: moment.total) for phase, moments in phases.items()}


def _inference(context: Context, programs: Programs) -> Mapping[PhaseName, list[Moment]]:
    once = Scale(context.setting.batch_size, 1)
    return {
        PhaseName.PREFILL: list(_forward(context.scale, programs)),
        PhaseName.DECODE: [
            _growth(context),
            *(_fused(context, moment) for moment in _forward(once, programs)),
        ],
    }


def _fused(context: Context, moment: Moment) -> Moment:
    """A few tokens are multiplied by 4-bit weights without dequantizing them (bitsandbytes, gemv_4bit)."""
    if context.setting.batch_size > FUSED_ROWS or DEQUANTIZED not in moment.rows:
        return moment
    return Moment(moment.name, {row: size for row, size in moment.rows.items() if row != DEQUANTIZED})


def _growth(context: Context) -> Moment:
    """While a layer's cache grows, old and new tensors are there (transformers' DynamicLayer.update)."""
    return Moment("cache growth", {"kv_cache_growth": growing_bytes(context)})


def _training(context: Context, programs: Programs) -> Mapping[PhaseName, list[Moment]]:
    return {
        PhaseName.FORWARD_END: [_with_gradients(context, m) for m in _forward(context.scale, programs)],
        PhaseName.BACKWARD: list(_backward(context, programs)),
        PhaseName.OPTIMIZER_STEP: [step(context)],
    }


def step(context: Context) -> Moment:
    """The optimizer step: every gradient is there, and nothing of a pass is."""
    return Moment("step", {GRADIENTS: gradient_bytes(context)})


def gradient_bytes(context: Context) -> int:
    """The gradients of all trained parameters."""
    return context.sums.elements * BYTES[context.numerics.gradient]


def _with_gradients(context: Context, moment: Moment) -> Moment:
    """With gradient accumulation, the gradients of earlier micro-batches are there during the forward pass."""
    if not context.numerics.accumulates:
        return moment
    return Moment(moment.name, {**moment.rows, GRADIENTS: gradient_bytes(context)})


def _forward(scale: Scale, programs: Programs) -> Iterator[Moment]:
    """The end of the forward pass: inside the last layer, or at the logits."""
    kept: list[tuple[Alive, int]] = [(program.kept, program.count) for program in programs.layers]
    held = programs.masks if CHECKPOINTS in programs.layers[0].kept else {}
    for index in _last(programs):
        others = [(alive, count - (position == index)) for position, (alive, count) in enumerate(kept)]
        for alive in programs.layers[index].forward:
            passing = [(programs.passing, 1), (programs.masks, 1)]
            yield Moment("last layer", _sum(scale, [*others, (alive, 1), *passing]))
    for alive in programs.head.forward:
        yield Moment("logits", _sum(scale, [*kept, (alive, 1), (held, 1)]))


def _backward(context: Context, programs: Programs) -> Iterator[Moment]:
    """The loss, the last layer (whose inputs are all still stored), the first layer, the embedding."""
    scale, total = context.scale, gradient_bytes(context)
    stored: list[tuple[Alive, int]] = [(program.stored, program.count) for program in programs.layers]
    masks = programs.masks if CHECKPOINTS in programs.layers[0].stored else {}
    for alive in programs.head.backward:
        yield _moment(context, "loss", [*stored, (alive, 1), (masks, 1)], 0)
    ended = scale.bytes(programs.head.gradients)
    for index in _last(programs):
        others = [(alive, count - (position == index)) for position, (alive, count) in enumerate(stored)]
        for alive in programs.layers[index].backward:
            yield _moment(context, "last layer", [*others, (alive, 1), (masks, 1)], ended)
    first = programs.layers[0]
    before = total - scale.bytes(first.gradients) - _embedding(context)
    for alive in first.backward:
        yield _moment(context, "first layer", [(alive, 1), (masks, 1)], before)
    yield _at_embedding(context, programs, total)


def _last(programs: Programs) -> range:
    """The indices of the programs that the last layer may have: not the first layer's, unless it is the only one."""
    return range(min(1, len(programs.layers) - 1), len(programs.layers))


def _embedding(context: Context) -> int:
    """The embedding's own gradient, which comes last; a tied one has been there since the logits."""
    sums = context.sums
    return 0 if sums.tied else sums.embedding * BYTES[context.numerics.gradient]


def _moment(context: Context, name: str, alive: list[tuple[Alive, int]], gradients: int) -> Moment:
    """With gradient accumulation all gradients are there; else those of the stretches that are done, and its own."""
    rows = _sum(context.scale, alive)
    rows[GRADIENTS] = gradient_bytes(context) if context.numerics.accumulates else rows.get(GRADIENTS, 0) + gradients
    return Moment(name, rows)


def _at_embedding(context: Context, programs: Programs, total: int) -> Moment:
    """The gradient of the first layer's input; one of the embedding that is added to another, or is the last of all."""
    rows = {"activation_gradients": context.scale.bytes(programs.hidden), GRADIENTS: total}
    if context.sums.tied or context.numerics.accumulates:
        rows[NEW_GRADIENT] = context.sums.embedding * BYTES[context.numerics.gradient]
    return Moment("embedding", rows)


def _sum(scale: Scale, parts: Iterable[tuple[Alive, int]]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for alive, count in parts:
        for row, size in alive.items():
            rows[row] = rows.get(row, 0) + count * scale.bytes(size)
    return rows
