"""The loss of TRL since 1.15: log-probabilities from tiles of logits, whose gradients are made in their place.

Source: trl/kernels/chunked_logprob.py, ChunkedLogProbFunction; trl/trainer/utils.py, add_fused_lm_head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from toolkit.memory.formula.ends.logits import LABELS, LOGITS, PROBABILITIES, HeadForm, before_logits
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, resized
from toolkit.memory.libraries.losses import TILED_AGAIN
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING, NEW_GRADIENT
from toolkit.memory.tape.tape import Tape

HIDDEN = "loss_hidden_states"
WEIGHT = "loss_weight_copy"

TILE_ENTRIES = 32_768
"""Entries of the vocabulary of one tile (_CHUNKED_LOGPROB_CHUNK_SIZE)."""


def tiled_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Hidden states gathered once, then a tile of logits at a time, in forward and again in backward."""
    normed = before_logits(tape, x, form)
    projection = form.projection
    order = tape.new(LABELS, 2, "int64")
    gathered = tape.new(HIDDEN, normed.width, normed.dtype, grad=True)

    def scatter(tape: Tape, _: Buffer) -> Given:
        return [(normed, tape.gradient(normed))]

    tape.node(gathered, scatter, tape.save(order))
    with _tile(tape, projection, gathered, _rows(projection.outputs, again=False), named=False):
        pass
    sums = tape.new(PROBABILITIES, 2, "fp32")
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)
    weight = tape.parameter(projection.elements, projection.gradient) if projection.trains else None

    def backward(tape: Tape, _: Buffer) -> Given:
        return _backward(tape, projection, gathered, weight, _rows(projection.outputs, again=form.loss == TILED_AGAIN))

    tape.node(result, backward, tape.save(gathered, sums))
    tape.drop(normed, gathered, order, sums)
    return result


def _backward(
    tape: Tape, projection: LinearForm, gathered: Buffer, weight: Buffer | None, tiles: Sequence[int]
) -> Given:
    """Float32 sums of both gradients, which are cast in the end where that is not their dtype."""
    given: Given = []
    with ExitStack() as sums:
        if gathered.dtype == "fp32":
            given.append((gathered, tape.gradient(gathered)))
        else:
            sums.enter_context(tape.temporary(INCOMING, resized(gathered, "fp32")))
        if weight is not None and projection.dtype == "fp32":
            given.append((weight, tape.weight_gradient(weight, "fp32")))
        elif weight is not None:
            sums.enter_context(tape.temporary(NEW_GRADIENT, Size(fixed=projection.elements * BYTES["fp32"])))
        sums.enter_context(_tile(tape, projection, gathered, tiles, named=True))
        if gathered.dtype != "fp32":
            given.append((gathered, tape.gradient(gathered)))
        if weight is not None and projection.dtype != "fp32":
            given.append((weight, tape.weight_gradient(weight, projection.dtype)))
    return given


def _rows(vocabulary: int, *, again: bool) -> tuple[int, ...]:
    """Rows of the weight that each tile has, two of many alike; twice where tokens are gone through `again`."""
    last = (vocabulary - 1) % TILE_ENTRIES + 1
    once = (*(TILE_ENTRIES,) * min((vocabulary - 1) // TILE_ENTRIES, 2), last)
    return once * 2 if again else once


@contextmanager
def _tile(tape: Tape, projection: LinearForm, gathered: Buffer, tiles: Sequence[int], *, named: bool) -> Iterator[None]:
    """Tiles of logits in one buffer, and copies of rows and of tokens where autocast has another dtype.

    In backward the copy of a tile's rows is `named`: it stays until the next one is there, and the last to the end.
    """
    dtype = projection.autocast or gathered.dtype
    row = Size(fixed=projection.inputs * BYTES[dtype] if projection.dtype != dtype else 0)
    tokens = Size(chunk=projection.inputs * BYTES[dtype] if gathered.dtype != dtype else 0)
    logits = Size(chunk=TILE_ENTRIES * BYTES[dtype])
    with tape.temporary(LOGITS, logits), tape.temporary(HIDDEN, tokens), ExitStack() as last:
        for rows in tiles:
            copy = ExitStack()
            copy.enter_context(tape.temporary(WEIGHT, row.times(rows)))
            tape.multiplied()
            last.close()
            (last if named else copy).push(copy.pop_all())
            copy.close()
        yield
