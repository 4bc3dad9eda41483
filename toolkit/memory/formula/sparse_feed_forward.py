"""A gated feed-forward that may keep only the highest of a token's gate values. Width I = the intermediate size.

Source: transformers 5.23 modeling_gemma3n.py, Gemma3nTextMLP.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated, rectify
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, letting_go, multiply
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "feed_forward_states"


@frozen
class SparseForm:
    """A gated feed-forward whose intermediate results all stay named to its end; `sparse`: it has a threshold."""

    gate: LinearForm
    up: LinearForm
    down: LinearForm
    activation: str
    sparse: bool


def sparse_feed_forward(tape: Tape, x: Buffer, form: SparseForm) -> Buffer:
    """down(act(gate(x)) * up(x)); the caller keeps `x`."""
    gate = linear(tape, x, form.gate, ROW)
    if form.sparse:
        gate = letting_go(tape, gate, _highest(tape, gate))
    active = activated(tape, gate, form.activation, ROW)
    up = linear(tape, x, form.up, ROW)
    product = multiply(tape, active, up, ROW)
    result = linear(tape, product, form.down, ROW)
    tape.drop(product, gate, active, up)
    return result


def _highest(tape: Tape, x: Buffer) -> Buffer:
    """relu(x - (mean + deviation * c)), with one mean and one deviation per token."""
    saved = tape.save(x) if x.grad else ()
    cut = tape.new(ROW, 1, x.dtype, grad=x.grad, size=Size(token=BYTES[x.dtype]))

    def of_deviation(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(cut, of_deviation, saved)
    above = tape.new(ROW, x.width, x.dtype, grad=x.grad)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x)), (cut, tape.gradient(cut))]

    tape.node(above, backward)
    result = rectify(tape, above, ROW)
    tape.drop(cut, above)
    return result
