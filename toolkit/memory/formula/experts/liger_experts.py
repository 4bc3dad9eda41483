"""Experts by Liger's kernels: products that read tokens where they lie, and one operation for all of them.

Source: liger_kernel ops/fused_moe.py, LigerFusedMoEFunction, and transformers/swiglu.py, LigerExperts (0.8.0). Tables
of tiles, two int32 for 64 rows, are left out.
"""

from __future__ import annotations

from toolkit.memory.formula.experts.expert_adapters import factors_of, merged_weights
from toolkit.memory.formula.experts.router import ROUTER
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING, NEW_GRADIENT
from toolkit.memory.tape.tape import Tape

ROW = "expert_states"
ORDERS = 3
"""Saved for every row, as int32: whose token it is, where it is sorted to, and where it came from."""


def liger_experts(
    tape: Tape, x: Buffer, weights: Buffer, products: tuple[LinearForm, ...], experts: int, chosen: int
) -> Buffer:
    """The weighted sum of a token's experts; `products` are gate-and-up and down, as wide as its chosen ones together.

    Saves its input, the routing weights, what gate and up give, and where rows belong. Backward makes the gradients of
    all experts' weights, trained or not. The caller keeps both inputs.
    """
    first, down = products
    factors = [factors_of(tape, one, experts, chosen) for one in reversed(products)][::-1]
    matrices = [
        merged_weights(tape, one, pair) if pair else tape.parameter(one.elements, one.gradient)
        for one, pair in zip(products, factors, strict=True)
    ]
    merged = [one for one in matrices if not one.parameter]
    asked = [one.trains or not matrix.parameter for one, matrix in zip(products, matrices, strict=True)]
    narrow_index, orders = tape.new(ROUTER, chosen, "int32"), tape.new(ROUTER, ORDERS * chosen, "int32")
    wide = tape.new(ROW, first.outputs, x.dtype)
    passing = tape.new(ROW, down.inputs, x.dtype), tape.new(ROW, down.outputs, x.dtype)
    needs = x.grad or any(asked)
    result = tape.new(ROW, x.width, x.dtype, grad=needs)
    saved = tape.save(x, weights, wide, orders, *merged, constants=2 - len(merged)) if needs else ()
    tape.multiplied()

    def backward(tape: Tape, _incoming: Buffer) -> Given:
        inner = [_rows(tape, width, x.dtype) for width in (first.outputs, down.inputs)]
        to_weights = tape.gradient(weights, x.dtype)
        of_down = _gradient(tape, down, matrices[1])
        inner.append(_rows(tape, down.outputs, x.dtype))
        to_tokens = tape.gradient(x)
        of_first = _gradient(tape, first, matrices[0])
        for part in inner:
            tape.discard(part)
        made = [(x, to_tokens), (matrices[0], of_first), (matrices[1], of_down), (weights, to_weights)]
        return _asked_for(tape, made, (x.grad, *asked, weights.grad))

    tape.node(result, backward, saved)
    tape.drop(narrow_index, orders, wide, *passing, *merged, *(part for pair in factors if pair for part in pair))
    return result


def _asked_for(tape: Tape, made: Given, wanted: tuple[bool, ...]) -> Given:
    """The gradients that something asked for; the others go."""
    for (_, gradient), asks in zip(made, wanted, strict=True):
        if not asks:
            tape.discard(gradient)
    return [pair for pair, asks in zip(made, wanted, strict=True) if asks]


def _rows(tape: Tape, width: int, dtype: str) -> Buffer:
    """A passing tensor of backward, of a width for each token."""
    return tape.fresh(INCOMING, Size(token=width * BYTES[dtype]), dtype)


def _gradient(tape: Tape, form: LinearForm, matrix: Buffer) -> Buffer:
    """The gradient of all experts' weights, in their dtype."""
    if form.trains and matrix.parameter:
        return tape.weight_gradient(matrix, form.dtype)
    return tape.fresh(NEW_GRADIENT, Size(fixed=form.elements * BYTES[form.dtype]), form.dtype)
