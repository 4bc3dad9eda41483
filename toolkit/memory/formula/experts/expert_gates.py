"""What joins the two halves of an expert, its gate and its other product, and what a shared expert is weighed by."""

from __future__ import annotations

from toolkit.memory.formula.activations import rectify
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, activate, letting_go, multiply, scale, split, wider
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

EXPERTS = "expert_states"


def plain_gate(tape: Tape, wide: Buffer) -> Buffer:
    """act(gate) * up, where both are halves of one tensor: what is kept of them keeps it whole."""
    first, up = split(tape, wide, (wide.width // 2, wide.width // 2))
    active = activate(tape, first, EXPERTS)
    product = multiply(tape, active, up, EXPERTS)
    tape.drop(active)
    return product


def clamped_gate(tape: Tape, wide: Buffer) -> Buffer:
    """(clamp(up) + 1) * gate * sigmoid(alpha * gate), gate clamped too (gpt-oss)."""
    gate, up = (_clamp(tape, wide) for _ in range(2))
    scaled = scale(tape, gate, EXPERTS)
    sigmoid = rectify(tape, scaled, EXPERTS)
    tape.drop(scaled)
    gated = multiply(tape, gate, sigmoid, EXPERTS)
    tape.drop(sigmoid)
    shifted = scale(tape, up, EXPERTS)
    product = multiply(tape, shifted, gated, EXPERTS)
    tape.drop(shifted, gated, gate, up)
    return product


def gated_share(tape: Tape, x: Buffer, shared: Buffer, form: LinearForm) -> Buffer:
    """`sigmoid(gate(x)) * shared`: the product of one number for each token with the shared expert's result.

    The gradient of the numbers is first as wide as the result, and then summed.
    """
    logit = linear(tape, x, form, EXPERTS)
    share = letting_go(tape, logit, activate(tape, logit, EXPERTS))
    result = tape.new(EXPERTS, shared.width, wider(share.dtype, shared.dtype), grad=share.grad or shared.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary("activation_gradients", result.size):
            to_share = tape.gradient(share)
        return [(share, to_share), (shared, tape.gradient(shared))]

    tape.node(result, backward, tape.save(share, shared) if result.grad else ())
    tape.drop(share)
    return result


def _clamp(tape: Tape, wide: Buffer) -> Buffer:
    result = tape.new(EXPERTS, wide.width // 2, wide.dtype, grad=wide.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    return tape.node(result, backward, tape.save(wide) if wide.grad else ())
