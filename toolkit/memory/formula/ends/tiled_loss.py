"""The loss of TRL since 1.15: log-probabilities from tiles of logits, whose gradients are made in their place.

Source: trl/kernels/chunked_logprob.py, ChunkedLogProbFunction; trl/trainer/utils.py, add_fused_lm_head.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    rows = min(projection.outputs, TILE_ENTRIES)
    with _tile(tape, projection, gathered, rows, 0):
        pass
    sums = tape.new(PROBABILITIES, 2, "fp32")
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)
    weight = tape.parameter(projection.elements, projection.gradient) if projection.trains else None

    def backward(tape: Tape, _: Buffer) -> Given:
        return _backward(tape, projection, gathered, weight, _rows(projection.outputs, again=form.loss == TILED_AGAIN))

    tape.node(result, backward, tape.save(gathered, sums))
    tape.drop(normed, gathered, order, sums)
    return result


def _backward(tape: Tape, projection: LinearForm, gathered: Buffer, weight: Buffer | None, rows: int) -> Given:
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
        last = (projection.outputs - 1) % TILE_ENTRIES + 1
        sums.enter_context(_tile(tape, projection, gathered, rows, last))
        if gathered.dtype != "fp32":
            given.append((gathered, tape.gradient(gathered)))
        if weight is not None and projection.dtype != "fp32":
            given.append((weight, tape.weight_gradient(weight, projection.dtype)))
    return given


def _rows(vocabulary: int, *, again: bool) -> int:
    """Rows of the weight that are copied while backward makes a tile: its own, and those of the tile before.

    The first tile has one before it where tokens are gone through `again`.
    """
    alone = vocabulary <= TILE_ENTRIES and again
    return 2 * vocabulary if alone else min(vocabulary, 2 * TILE_ENTRIES)


@contextmanager
def _tile(tape: Tape, projection: LinearForm, gathered: Buffer, rows: int, last: int) -> Iterator[None]:
    """A tile of logits, and where autocast has another dtype copies of `rows` of the weight and of its tokens.

    In backward those of the `last` tile have a name until the function returns, as all others have.
    """
    dtype = projection.autocast or gathered.dtype
    row = Size(fixed=projection.inputs * BYTES[dtype] if projection.dtype != dtype else 0)
    tokens = Size(chunk=projection.inputs * BYTES[dtype] if gathered.dtype != dtype else 0)
    logits = Size(chunk=TILE_ENTRIES * BYTES[dtype])
    with tape.temporary(LOGITS, logits), tape.temporary(HIDDEN, tokens):
        with tape.temporary(WEIGHT, row.times(rows)):
            pass
        with tape.temporary(WEIGHT, row.times(last)):
            yield
