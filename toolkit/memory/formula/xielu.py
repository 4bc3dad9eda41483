"""Apertus's activation in separate torch operations, which transformers runs if its own kernel is not installed.

where(x > 0, p * x * x + b * x, (expm1(min(x, e)) - x) * n + b * x), with parameters p and n of one element each and
numbers b and e. Source: transformers 5.23 activations.py, XIELUActivation._xielu_python. Autocast computes the softplus
of the parameters and expm1 in float32, and so everything else except the products with b.
"""

from __future__ import annotations

from toolkit.memory.formula.operations import Given, add, cast, letting_go, resized, scale
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


def xielu(tape: Tape, x: Buffer, row: str, *, wide: bool, trains: bool) -> Buffer:
    """The activation; the caller keeps `x`. `trains` says that its parameters are trained."""
    dtype = "fp32" if wide else x.dtype
    above = tape.new(row, x.width, "bool", size=resized(x, "bool"))
    first = _side(tape, _squared(tape, x, row, dtype, trains=trains), x, row)
    second = _side(tape, _below(tape, x, row, dtype, trains=trains), x, row)
    result = _where(tape, above, first, second, row)
    tape.drop(above, first, second)
    return result


def _side(tape: Tape, part: Buffer, x: Buffer, row: str) -> Buffer:
    """Part + b * x."""
    linear = scale(tape, x, row)
    total = add(tape, part, linear, row)
    tape.drop(part, linear)
    return total


def _squared(tape: Tape, x: Buffer, row: str, dtype: str, *, trains: bool) -> Buffer:
    """P * x * x, from the left."""
    once = _times_parameter(tape, x, row, dtype, trains=trains)
    saved = tape.save(once, x) if x.grad else ()
    result = tape.new(row, x.width, dtype, grad=x.grad, size=once.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(once, tape.gradient(once)), (x, _narrowed(tape, result, x))]

    tape.node(result, backward, saved)
    tape.drop(once)
    return result


def _below(tape: Tape, x: Buffer, row: str, dtype: str, *, trains: bool) -> Buffer:
    """(expm1(min(x, e)) - x) * n."""
    least = _minimum(tape, x, row)
    inner = letting_go(tape, least, cast(tape, least, dtype, row))
    saved_later = inner
    raised = tape.new(row, x.width, dtype, grad=x.grad, size=inner.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary("activation_gradients", raised.size):  # the result plus 1
            return [(saved_later, tape.gradient(saved_later))]

    tape.node(raised, backward, tape.save(raised) if x.grad else ())
    tape.drop(inner)
    less = _minus(tape, raised, x, row)
    tape.drop(raised)
    return letting_go(tape, less, _times_parameter(tape, less, row, dtype, trains=trains))


def _minimum(tape: Tape, x: Buffer, row: str) -> Buffer:
    """min(x, e): saves x; backward halves the gradient where both are equal, and applies two masks."""
    saved = tape.save(x, constants=1) if x.grad else ()
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary("activation_gradients", x.size):
            return [(x, tape.gradient(x))]

    return tape.node(result, backward, saved)


def _minus(tape: Tape, x: Buffer, y: Buffer, row: str) -> Buffer:
    """X - y: x gets the gradient unchanged, y gets it negated."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x)), (y, _narrowed(tape, result, y))]

    return tape.node(result, backward)


def _times_parameter(tape: Tape, x: Buffer, row: str, dtype: str, *, trains: bool) -> Buffer:
    """X times a one-element tensor, whose gradient is the sum of a full product."""
    saved = tape.save(*([x] if trains else []), constants=1) if x.grad else ()
    result = tape.new(row, x.width, dtype, grad=x.grad, size=resized(x, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        product = tape.gradient(result) if trains else None
        given = _narrowed(tape, result, x)
        if product is not None:
            tape.discard(product)
        return [(x, given)]

    return tape.node(result, backward, saved)


def _where(tape: Tape, above: Buffer, first: Buffer, second: Buffer, row: str) -> Buffer:
    saved = tape.save(above) if first.grad else ()
    result = tape.new(row, first.width, first.dtype, grad=first.grad, size=first.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(first, tape.gradient(first)), (second, tape.gradient(second))]

    return tape.node(result, backward, saved)


def _narrowed(tape: Tape, wide: Buffer, x: Buffer) -> Buffer:
    """The gradient of `x`, made in the dtype of a result and cast where that differs."""
    if wide.dtype == x.dtype:
        return tape.gradient(x)
    made = tape.gradient(wide)
    narrow = tape.gradient(x)
    tape.discard(made)
    return narrow
