"""From embeddings to several residual streams, and from these to one (Gemma 3n).

Source: transformers 5.23 modeling_gemma3n.py, Gemma3nTextModel.forward. Widths are those of formula/streams.py.
"""

from __future__ import annotations

from functools import reduce

from toolkit.frozen import frozen
from toolkit.memory.formula.arrays import INPUT, apply
from toolkit.memory.formula.families.streams import ROW
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, cast, letting_go, part_of, wider
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape


@frozen
class SpreadForm:
    """From embeddings to all streams: one product for each except the first, scaled to the embeddings' magnitude."""

    hidden: int
    others: tuple[LinearForm, ...]


@frozen
class MergeForm:
    """From all streams to one: the mean of the first and of one product of each other stream."""

    hidden: int
    others: tuple[LinearForm, ...]


def spread_streams(tape: Tape, x: Buffer, form: SpreadForm) -> Buffer:
    """All streams made from the embeddings; the model's code refers to each, and to the last product."""
    target = _magnitude(tape, x, form.others[0])
    streams = [_alike(tape, x, one, target) for one in form.others]
    result = _stacked(tape, [x, *streams])
    tape.drop(target, *streams)
    return result


def _magnitude(tape: Tape, x: Buffer, form: LinearForm) -> Buffer:
    """The root mean square of each token, one number; autocast computes powers in float32."""
    wide = cast(tape, x, "fp32" if form.autocast else x.dtype, ROW)
    squares = apply(tape, wide, ROW, INPUT)
    mean = tape.new(ROW, 1, wide.dtype, grad=x.grad, size=Size(token=BYTES[wide.dtype]))
    tape.node(mean, lambda tape, _: [(squares, tape.gradient(squares))])
    tape.drop(squares)
    if wide is not x:
        tape.drop(wide)
    return mean


def _alike(tape: Tape, x: Buffer, form: LinearForm, target: Buffer) -> Buffer:
    """A product, times a magnitude and divided by its own."""
    made = linear(tape, x, form, ROW)
    own = _magnitude(tape, made, form)
    first = _times_number(tape, made, target)
    result = letting_go(tape, first, _times_number(tape, first, own))
    tape.drop(made, own)
    return result


def _times_number(tape: Tape, x: Buffer, number: Buffer) -> Buffer:
    """X times, or divided by, a number of each token."""
    saved = tape.save(*([x] if number.grad else []), *([number] if x.grad else []))
    dtype = wider(x.dtype, number.dtype)
    result = tape.new(ROW, x.width, dtype, grad=x.grad or number.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        given = [(x, tape.gradient(x))] if x.grad else []
        if number.grad:
            whole = tape.fresh(INCOMING, result.size, dtype, x.width)
            given.append((number, tape.gradient(number)))
            tape.discard(whole)
        return given

    return tape.node(result, backward, saved)


def _stacked(tape: Tape, parts: list[Buffer]) -> Buffer:
    """The streams stacked in a new tensor of the widest dtype; each gets a view of the gradient."""
    dtype = reduce(wider, (one.dtype for one in parts))
    alike = [cast(tape, one, dtype, ROW) for one in parts]
    result = tape.new(ROW, sum(one.width for one in parts), dtype, grad=any(one.grad for one in parts))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(one, tape.handed(gradient)) for one in alike if one.grad]

    tape.node(result, backward)
    tape.drop(*(made for made, one in zip(alike, parts, strict=True) if made is not one))
    return result


def merge_streams(tape: Tape, x: Buffer, form: MergeForm) -> Buffer:
    """The mean of all streams; the caller keeps them."""
    width = x.width // (len(form.others) + 1)
    first = part_of(tape, x, width, copies=False)
    target = _magnitude(tape, first, form.others[0])
    made = [_alike(tape, part_of(tape, x, width, copies=False), one, target) for one in form.others]
    whole = _stacked(tape, [first, *made])
    result = tape.new(ROW, width, whole.dtype, grad=whole.grad)
    tape.node(result, lambda tape, _: [(whole, tape.gradient(whole))])
    tape.drop(target, whole, *made)
    return result
