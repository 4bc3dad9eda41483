"""The feed-forward of a layer, gated or not. Width I = the intermediate size."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.formula.linear import LinearForm, linear
from toolkit.memory.formula.operations import activate, multiply
from toolkit.memory.tape import Buffer, Tape

ROW = "feed_forward_states"


@dataclass(frozen=True, slots=True)
class FeedForwardForm:
    """A dense feed-forward: up and down, and a gate where it is gated."""

    up: LinearForm
    down: LinearForm
    gate: LinearForm | None = None


def feed_forward(tape: Tape, x: Buffer, form: FeedForwardForm) -> Buffer:
    """down(act(gate(x)) * up(x)), or down(act(up(x))); the caller keeps `x`."""
    first = linear(tape, x, form.gate or form.up, ROW)
    active = activate(tape, first, ROW)
    tape.drop(first)
    if form.gate is not None:
        up = linear(tape, x, form.up, ROW)
        product = multiply(tape, active, up, ROW)
        tape.drop(active, up)
        active = product
    result = linear(tape, active, form.down, ROW)
    tape.drop(active)
    return result
