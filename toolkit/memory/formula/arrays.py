"""torch's operations on tensors of any shape: what autograd saves, and what their backward allocates.

A size is passed where it differs from that of an operand. Source: torch/csrc/autograd derivatives.yaml; engine.cpp,
validate_outputs, which sums a gradient over broadcast dimensions once all gradients of an operation are there.
"""

from __future__ import annotations

from toolkit.memory.formula.linear.linear import COPIES
from toolkit.memory.formula.operations import Given, cast, letting_go, resized, wider
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

INPUT, RESULT, NOTHING_KEPT = "input", "result", ""


def apply(tape: Tape, x: Buffer, row: str, keeps: str = NOTHING_KEPT, *, dtype: str = "", beside: int = 0) -> Buffer:
    """An elementwise function: one result; it saves its input, its result, or nothing.

    Backward makes `beside` temporary tensors as large as the gradient that it returns.
    """
    dtype = dtype or x.dtype
    before = tape.save(x) if keeps == INPUT and x.grad else ()
    result = tape.new(row, x.width, dtype, grad=x.grad, size=resized(x, dtype))
    saved = before or (tape.save(result) if keeps == RESULT and x.grad else ())

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, x.size.times(beside)):
            return [(x, tape.gradient(x))]

    return tape.node(result, backward, saved)


def times(tape: Tape, x: Buffer, y: Buffer, row: str, *, dtype: str = "") -> Buffer:
    """`x * y`, where y may be broadcast over x: each is saved where the other needs a gradient."""
    dtype = dtype or wider(x.dtype, y.dtype)
    saved = tape.save(*([x] if y.grad else []), *([y] if x.grad else []))
    result = tape.new(row, x.width, dtype, grad=x.grad or y.grad, size=resized(x, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        wide = [(part, tape.fresh(INCOMING, result.size, dtype, result.width)) for part in (x, y) if part.grad]
        tape.returned()
        return [(part, _fitted(tape, part, gradient)) for part, gradient in wide]

    return tape.node(result, backward, saved)


def _fitted(tape: Tape, of: Buffer, gradient: Buffer) -> Buffer:
    """A gradient summed over broadcast dimensions, and cast."""
    if gradient.size == of.size and gradient.dtype == of.dtype:
        return gradient
    own = tape.gradient(of)
    tape.discard(gradient)
    return own


def plus(tape: Tape, x: Buffer, y: Buffer, row: str, *, size: Size | None = None, negates: bool = False) -> Buffer:
    """`x + y` or `x - y`, where either may be broadcast to `size`: saves nothing; x gets the result's gradient."""
    dtype = wider(x.dtype, y.dtype)
    size = size or resized(x, dtype)
    result = tape.new(row, x.width, dtype, grad=x.grad or y.grad, size=size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        given: Given = []
        for part, negative in ((x, False), (y, negates)):
            if not part.grad:
                continue
            if negative:
                given.append((part, _fitted(tape, part, tape.fresh(INCOMING, size, dtype))))
            elif part.size == gradient.size:
                given.append((part, tape.share(gradient, part)))
            else:
                given.append((part, tape.gradient(part)))
        return given

    return tape.node(result, backward)


def summed(tape: Tape, x: Buffer, row: str, size: Size) -> Buffer:
    """A sum with keepdim: its gradient is expanded without a copy."""
    result = tape.new(row, 1, x.dtype, grad=x.grad, size=size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.handed(gradient))]

    return tape.node(result, backward)


def product(
    tape: Tape, x: Buffer, y: Buffer, row: str, size: Size, *, low: str | None = None, strided: str = ""
) -> Buffer:
    """`x @ y`: autocast casts both to its own dtype first, the right one before the left; both are saved.

    Operands that are `strided` (left, right or both), with heads after tokens, are made contiguous in a copy first.
    """
    wanted = low or x.dtype
    right, left = (cast(tape, one, wanted, COPIES) for one in (y, x))
    if strided in ("left", "both"):
        left = _in_order(tape, left, x, row)
    if strided in ("right", "both"):
        right = _in_order(tape, right, y, row)
    saved = tape.save(*([left] if right.grad else []), *([right] if left.grad else []))
    result = tape.new(row, 0, wanted, grad=left.grad or right.grad, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(part, tape.gradient(part)) for part in (right, left) if part.grad]

    tape.node(result, backward, saved)
    tape.multiplied()
    tape.drop(*(copy for copy, original in ((left, x), (right, y)) if copy is not original))
    return result


def _in_order(tape: Tape, x: Buffer, original: Buffer, row: str) -> Buffer:
    """A contiguous copy of `x`, which replaces `x` unless it is the original."""
    result = rearranged(tape, x, row)
    if x is not original:
        tape.drop(x)
    return result


def part(tape: Tape, whole: Buffer, size: Size, saved: tuple[Buffer, ...] = ()) -> Buffer:
    """`whole[:, :, i]`: a view; backward puts its gradient into zeros of the size of the whole, then frees `saved`."""
    view = Buffer(whole.row, size, 0, whole.dtype, whole.grad, held=False, counted=False, base=whole.base or whole)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(whole, tape.gradient(whole))]

    return tape.node(view, backward, saved)


def copied(tape: Tape, x: Buffer, row: str, size: Size | None = None) -> Buffer:
    """The elements in a new tensor, reordered or concatenated with others; backward makes a new gradient."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=size or x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def rearranged(tape: Tape, x: Buffer, row: str) -> Buffer:
    """The same elements in a new tensor, whose gradient is passed on without a copy."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)


def constant(tape: Tape, row: str, size: Size, dtype: str = "fp32") -> Buffer:
    """A new tensor that needs no gradient."""
    return tape.new(row, 0, dtype, size=size)


def replaced(tape: Tape, x: Buffer, made: Buffer) -> Buffer:
    """Drops x for what was made of it: the code rebinds x's name to the result."""
    return letting_go(tape, x, made)


def per_token(width: int, dtype: str) -> Size:
    """The size of `width` elements per token."""
    return Size(token=width * BYTES[dtype])
