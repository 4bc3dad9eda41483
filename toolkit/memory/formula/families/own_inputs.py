"""Inputs for each layer: a table and a projection make them for each token, and each layer adds its own.

Source: transformers 5.23 modeling_gemma4.py, Gemma4TextModel.get_per_layer_inputs, project_per_layer_inputs and
Gemma4TextDecoderLayer.forward. Width W = layers x the width of one layer's input.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.arrays import per_token
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add, letting_go, multiply, scale
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "embedding_states"
RESIDUAL = "residual_stream"


@frozen
class OwnInputsForm:
    """The inputs of all layers: `width` is W; the hidden width is that of the tokens' embeddings."""

    hidden: int
    width: int
    projection: LinearForm
    norm: NormForm
    table: bool = False  # is trained


@frozen
class OwnInputForm:
    """A layer's use of its own input: a gate, whose activation multiplies the input, a projection and a norm.

    In training the input is part of a tensor of `width`, which has a dtype and, with `grad`, a gradient, to which later
    layers have added theirs unless this is the `last` layer.
    """

    gate: LinearForm
    projection: LinearForm
    norm: NormForm
    activation: str
    width: int = 0
    dtype: str = ""
    grad: bool = False
    last: bool = False


def own_inputs(tape: Tape, embedded: Buffer, form: OwnInputsForm) -> Buffer:
    """The inputs of all layers; the caller keeps the embeddings, and the table's rows stay named to the end."""
    rows = tape.new(ROW, form.width, embedded.dtype, grad=form.table)
    rows = letting_go(tape, rows, scale(tape, rows, ROW))
    projected = linear(tape, embedded, form.projection, ROW)
    scaled = letting_go(tape, projected, scale(tape, projected, ROW))
    normed = letting_go(tape, scaled, normalise(tape, scaled, form.norm))
    total = add(tape, normed, rows, ROW)
    result = letting_go(tape, total, scale(tape, total, ROW))
    tape.drop(normed, rows)
    return result


def with_own_input(tape: Tape, x: Buffer, form: OwnInputForm) -> Buffer:
    """X + norm(projection(activation(gate(x)) * input)); the caller keeps `x`."""
    normed = of_own_input(tape, x, form)
    return letting_go(tape, normed, add(tape, x, normed, RESIDUAL))


def of_own_input(tape: Tape, x: Buffer, form: OwnInputForm, *, lets_go: bool = False) -> Buffer:
    """norm(projection(activation(gate(x)) * input)); `lets_go`: the name of `x` is rebound to the gate's result."""
    gate = linear(tape, x, form.gate, RESIDUAL)
    if lets_go:
        tape.drop(x)
    active = letting_go(tape, gate, activated(tape, gate, form.activation, RESIDUAL))
    product = letting_go(tape, active, _times_input(tape, active, form))
    projected = letting_go(tape, product, linear(tape, product, form.projection, RESIDUAL))
    return letting_go(tape, projected, normalise(tape, projected, form.norm))


def _times_input(tape: Tape, active: Buffer, form: OwnInputForm) -> Buffer:
    """Times a part of the inputs of all layers, whose gradient waits until the layer's other gradients are there.

    The part was made before the layer's operations, so the engine runs its node last.
    """
    if not tape.trains:
        return scale(tape, active, RESIDUAL)
    whole = Buffer(ROW, per_token(form.width, form.dtype), form.width, form.dtype, form.grad, held=False, counted=False)
    size = per_token(active.width, form.dtype)
    part = Buffer(ROW, size, active.width, form.dtype, form.grad, held=False, counted=False, base=whole)
    if form.grad:
        tape.outside.append((part, False))
    if form.grad and not form.last:
        tape.outside.append((whole, True))
    return multiply(tape, active, part, RESIDUAL)
