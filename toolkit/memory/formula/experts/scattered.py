"""Experts by ScatterMoE: products that read tokens in place, and write results in the order they need.

Sources: fms-acceleration plugins/accelerated-moe, fms_acceleration_moe/utils/scattermoe.py (ScatterMoE) and
scattermoe_utils/khd/kernels/ops (_ScatteredExperts), after ScatterMoE's ParallelLinear.
"""

from __future__ import annotations

from toolkit.memory.formula.experts.router import ROUTER
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, activate, cast, letting_go, multiply
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING, NEW_GRADIENT
from toolkit.memory.tape.tape import Tape

ROW = "expert_states"


def scattered(tape: Tape, x: Buffer, router: LinearForm, products: tuple[LinearForm, ...], chosen: int) -> Buffer:
    """The weighted sum of a token's experts: up, the gate in place, and down; the caller keeps `x`.

    `products` are of all experts, as wide as all of a token's chosen ones. Tokens are not gathered in a copy before
    they are multiplied; backward gathers them, and writes their gradients over that copy.
    """
    gates = _routes(tape, x, router, chosen)
    index = tape.new(ROUTER, 2 * chosen, "int64")  # experts in order, and whose token each is
    up, gate, down = products
    first = _product(tape, x, up, index)
    active = letting_go(tape, first, activate(tape, first, ROW))
    second = _product(tape, x, gate, index)
    product = letting_go(tape, active, letting_go(tape, second, multiply(tape, active, second, ROW)))
    result = _weighted(tape, product, gates, down, index, x)
    tape.drop(product, gates, index)
    return result


def _routes(tape: Tape, x: Buffer, router: LinearForm, chosen: int) -> Buffer:
    """The weights of the chosen experts, normalized to a sum of 1 in place, in the dtype of the tokens.

    Logits are a part of the module's result, and stay referenced until the layer returns.
    """
    logits = linear(tape, x, router, ROUTER)
    tape.bound.append(logits)
    wide = cast(tape, logits, "fp32", ROUTER)
    shares = activate(tape, wide, ROUTER)
    if wide is not logits:
        tape.drop(wide)
    index = tape.new(ROUTER, chosen, "int64")
    largest = tape.new(ROUTER, chosen, "fp32", grad=shares.grad)

    def to_shares(tape: Tape, _: Buffer) -> Given:
        return [(shares, tape.gradient(shares))]

    tape.node(largest, to_shares, tape.save(index) if shares.grad else ())
    tape.drop(shares)
    total = tape.new(ROUTER, 1, "fp32")
    before = tape.new(ROUTER, chosen, "fp32")  # what a division in place keeps of what it divides
    normed = tape.new(ROUTER, 0, "fp32", grad=largest.grad)

    def to_largest(tape: Tape, _: Buffer) -> Given:
        return [(largest, tape.gradient(largest))]

    tape.node(normed, to_largest, tape.save(total, before) if largest.grad else ())
    tape.drop(total, before)
    gates = tape.new(ROUTER, chosen, x.dtype, grad=normed.grad)

    def to_normed(tape: Tape, _: Buffer) -> Given:
        return [(normed, tape.gradient(largest))]

    tape.node(gates, to_normed)
    tape.drop(normed, largest)
    tape.bound.append(index)
    return gates


def _product(tape: Tape, x: Buffer, form: LinearForm, index: Buffer) -> Buffer:
    """Tokens times their experts, in the order of the experts; saves the tokens.

    Backward gathers a copy of them for the weights of every expert; their gradients overwrite it and are then summed.
    """
    turned = _turned(tape, form)
    saved = tape.save(x, index, constants=1)
    result = tape.new(ROW, form.outputs, x.dtype, grad=x.grad or form.trains)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, _wide(form.inputs, x.dtype)):
            made = _weights(tape, form)
            given = [(x, tape.gradient(x))] if x.grad else []
        return [*given, *_given(tape, turned, made)]

    return tape.node(result, backward, saved)


def _weighted(tape: Tape, x: Buffer, gates: Buffer, form: LinearForm, index: Buffer, like: Buffer) -> Buffer:
    """Down, back in the order of the tokens, and their weighted sum; saves what is summed.

    Backward repeats the gradient for the experts in a new tensor.
    """
    turned = _turned(tape, form)
    expanded = tape.new(ROW, form.outputs, x.dtype)
    saved = tape.save(x, index, gates, expanded, constants=1)
    result = tape.new(ROW, like.width, x.dtype, grad=x.grad or form.trains)
    tape.multiplied()

    def backward(tape: Tape, _: Buffer) -> Given:
        shares = [(gates, tape.gradient(gates))] if gates.grad else []
        with tape.temporary(INCOMING, _wide(form.outputs, x.dtype)):
            inner = tape.gradient(x)
            made = _weights(tape, form)
        if not x.grad:
            tape.discard(inner)
        return [*([(x, inner)] if x.grad else []), *shares, *_given(tape, turned, made)]

    tape.node(result, backward, saved)
    tape.drop(expanded)
    return result


def _wide(width: int, dtype: str) -> Size:
    return Size(token=width * BYTES[dtype])


def _weights(tape: Tape, form: LinearForm) -> Buffer:
    """The gradient of all experts' weights, which the operation makes whether they are trained or not."""
    return tape.fresh(NEW_GRADIENT, Size(fixed=form.elements * BYTES[form.dtype]), form.dtype)


def _turned(tape: Tape, form: LinearForm) -> Buffer:
    """Accumulates that gradient: its memory layout is transposed to the weights', so torch copies it for them.

    It is added to an existing gradient without a copy (torch/csrc/autograd/functions/accumulate_grad.h).
    """
    size = Size(fixed=form.elements * BYTES[form.dtype])
    turned = Buffer(NEW_GRADIENT, size, 0, form.dtype, grad=form.trains, held=False, counted=False)
    weight = tape.parameter(form.elements, form.gradient)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        given = tape.share(gradient, weight) if tape.accumulates else tape.weight_gradient(weight, form.gradient)
        return [(weight, given)]

    return tape.node(turned, backward)


def _given(tape: Tape, turned: Buffer, made: Buffer) -> Given:
    if turned.grad:
        return [(turned, made)]
    tape.discard(made)
    return []
