"""What joins the two halves of an expert: its gate, activated, times its other product."""

from __future__ import annotations

from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.activations import rectify
from toolkit.memory.formula.operations import Given, activate, multiply, scale, split
from toolkit.memory.tape import Tape

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


def _clamp(tape: Tape, wide: Buffer) -> Buffer:
    result = tape.new(EXPERTS, wide.width // 2, wide.dtype, grad=wide.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    return tape.node(result, backward, tape.save(wide) if wide.grad else ())
