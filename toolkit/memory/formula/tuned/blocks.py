"""Methods whose parameters stand for blocks of the weight: MiSS and C3A (peft 0.21, tuners/miss and tuners/c3a)."""

from __future__ import annotations

from toolkit.memory.formula.operations import Given, widened
from toolkit.memory.formula.tuned.site import Site, given, handed_on
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

COMPLEX = 2
"""Numbers of a complex one, in float32 each."""


def miss(at: Site, x: Buffer) -> Buffer:
    """Sums of every so many inputs, times one matrix for all of them; or a changed weight ("bat")."""
    if at.tuner.option("form") == "bat":
        return _changed_weight(at, x)
    form, rank = at.form, at.tuner.rank
    result = at.base(x)
    matrix = at.parameter(rank * form.outputs)
    if at.tuner.option("form") == "mini":  # columns that are repeated
        matrix = at.matrix(rank * form.outputs, at.dtype, (at.parameter(rank * at.tuner.number("mini_r")),))
    filled = x
    if form.inputs % rank:
        width = -(-form.inputs // rank) * rank
        filled = at.made(widened(x, width, x.dtype), x.dtype, (x,), width=width)
    source = at.cast(filled, at.dtype)
    if filled is not x and source is not filled:
        at.drop(filled)
    summed = at.made(widened(source, rank, "fp32"), "fp32", (source,), width=rank)
    added = at.product(summed, matrix, form.outputs)
    at.drop(summed)
    total = at.plus(result, added, at.row)
    at.drop(result, added)
    final = at.finished(total, x.dtype)
    at.drop(*([source] if source is not x else []), matrix)
    return final


def _changed_weight(at: Site, x: Buffer) -> Buffer:
    """W + W B + B, block by block of W, written out at every pass."""
    form, rank = at.form, at.tuner.rank
    whole = form.elements
    weight = at.matrix(whole, form.dtype)
    matrix = at.parameter(form.outputs * rank)
    wide = at.cast(weight, at.dtype)
    low = at.low(matrix)
    narrow = at.low(wide)
    permuted = at.matrix(whole, narrow.dtype)
    expanded = at.matrix(whole, low.dtype, (low,))
    changed = at.made(permuted.size, low.dtype, (expanded,), (permuted,))
    at.drop(expanded, permuted, *([narrow] if narrow is not wide else []))
    moved = at.plus(at.view(changed), matrix)
    at.drop(changed)
    ordered = at.made(moved.size, moved.dtype, (moved,), backward=handed_on(moved))
    at.drop(moved, *([wide] if wide is not weight else []))
    total = at.plus(weight, ordered)
    at.drop(weight)
    source = at.cast(x, at.dtype)
    final = at.finished(at.product(source, total, form.outputs, at.row), x.dtype)
    at.drop(total, ordered, *([source] if source is not x else []))
    return final


def c3a(at: Site, x: Buffer) -> Buffer:
    """Circular convolutions of blocks of inputs, through Fourier transforms in float32."""
    form, block = at.form, at.tuner.number("block_size")
    result = at.base(x)
    source = at.cast(x, "fp32")
    kernel = at.cast(at.parameter(form.outputs // block * form.inputs), "fp32")
    around = _convolved(at, source, kernel)
    at.drop(*([source] if source is not x else []))
    size = widened(x, form.outputs, "fp32")

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(around, tape.fresh(INCOMING, size, "fp32", form.outputs))]

    shared = at.made(size, "fp32", (around,), width=form.outputs, backward=backward)
    at.drop(around)
    narrow = at.cast(shared, result.dtype)
    at.added_to_base(result, narrow)
    at.drop(*([narrow] if narrow is not shared else []))
    final = at.finished(result, x.dtype)
    at.drop(shared, *([kernel] if not kernel.parameter else []))
    return final


def _convolved(at: Site, x: Buffer, kernel: Buffer) -> Buffer:
    """BlockCircularConvolution: keeps its inputs; both passes make complex tensors of inputs, outputs and weights."""
    form = at.form
    inputs, outputs = (_complex(x, width) for width in (form.inputs, form.outputs))
    weights = Size(fixed=COMPLEX * BYTES["fp32"] * form.elements // at.tuner.number("block_size"))
    transformed, of_kernel = at.made(inputs, "fp32", ()), at.made(weights, "fp32", ())
    product = at.made(outputs, "fp32", ())
    at.drop(transformed, of_kernel)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, outputs):
            with tape.temporary(INCOMING, inputs):
                with tape.temporary(INCOMING, weights):
                    pass
                own = tape.fresh(INCOMING, inputs, "fp32", form.inputs) if x.grad else None
            with tape.temporary(INCOMING, inputs), tape.temporary(INCOMING, weights):
                pass
            found = [(kernel, given(tape, kernel))]
        return found if own is None else [(x, own), *found]

    result = at.made(outputs, "fp32", (x, kernel), (x, kernel), width=form.outputs, backward=backward)
    at.drop(product)
    return result


def _complex(x: Buffer, width: int) -> Size:
    return widened(x, COMPLEX * width, "fp32")
