"""The feed-forward of a layer, gated or not. Width I = the intermediate size."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.adapters.axolotl_adapters import axolotl_feed_forward
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import letting_go, multiply, scale, split, transposed
from toolkit.memory.formula.trainers.liger import liger_product
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "feed_forward_states"


@frozen
class FeedForwardForm:
    """A dense feed-forward: up and down, and a gate if it is gated; with `joined`, `up` computes gate and up."""

    up: LinearForm
    down: LinearForm
    activation: str
    gate: LinearForm | None = None
    joined: bool = False
    named: bool = False  # up and gate, in this order, stay named to the end (Qwen 1)
    liger: bool = False  # Liger's kernel for the product of the activated gate and up
    fused: bool = False  # the whole feed-forward with its adapters is one operation of axolotl
    multiplied: bool = False  # the gate before its activation, and the result, by numbers of the config (Falcon-H1)
    lets_go: bool = False  # the input's name is rebound to the first product (OPT, whose layer has no MLP module)


def feed_forward(tape: Tape, x: Buffer, form: FeedForwardForm) -> Buffer:
    """down(act(gate(x)) * up(x)), or down(act(up(x))); the caller keeps `x`."""
    if form.fused and form.gate is not None:
        return axolotl_feed_forward(tape, x, form.gate, form.up, form.down)
    if form.joined:
        return _joined(tape, x, form)
    if form.multiplied and form.gate is not None:
        return _multiplied(tape, x, form, form.gate)
    if form.named and form.gate is not None:
        return _named(tape, x, form, form.gate)
    if form.liger and form.gate is not None:
        return _by_liger(tape, x, form, form.gate)
    first = linear(tape, x, form.gate or form.up, ROW)
    if form.lets_go:
        tape.drop(x)
    wide = form.up.autocast is not None
    active = activated(tape, first, form.activation, ROW, autocast=wide, trains=form.up.trains)
    tape.drop(first)
    if form.gate is not None:
        up = linear(tape, x, form.up, ROW)
        product = multiply(tape, active, up, ROW)
        tape.drop(active, up)
        active = product
    result = linear(tape, active, form.down, ROW)
    tape.drop(active)
    return result


def _multiplied(tape: Tape, x: Buffer, form: FeedForwardForm, gate: LinearForm) -> Buffer:
    """down(up(x) * act(gate(x) * a)) * b (modeling_falcon_h1.py, FalconH1MLP)."""
    up, first = linear(tape, x, form.up, ROW), linear(tape, x, gate, ROW)
    given = letting_go(tape, first, scale(tape, first, ROW, constants=0))
    active = letting_go(tape, given, activated(tape, given, form.activation, ROW))
    product = multiply(tape, up, active, ROW)
    tape.drop(active, up)
    result = linear(tape, product, form.down, ROW)
    result = letting_go(tape, result, scale(tape, result, ROW, constants=0))
    tape.drop(product)
    return result


def _joined(tape: Tape, x: Buffer, form: FeedForwardForm) -> Buffer:
    """Gate and up as halves of one tensor, which the gate's name keeps alive to the end (Phi 3)."""
    whole = linear(tape, x, form.up, ROW)
    gate, up = split(tape, whole, (whole.width // 2, whole.width // 2))
    if form.liger:  # its kernel makes each half contiguous (liger_kernel ops/utils.py, ensure_contiguous)
        gate, up = transposed(tape, gate), transposed(tape, up)
        product = liger_product(tape, gate, up)
        tape.drop(gate, up)
    else:
        active = activated(tape, gate, form.activation, ROW, autocast=form.up.autocast is not None)
        product = multiply(tape, up, active, ROW)
        tape.drop(active)
    result = linear(tape, product, form.down, ROW)
    tape.drop(product, whole)
    return result


def _by_liger(tape: Tape, x: Buffer, form: FeedForwardForm, gate: LinearForm) -> Buffer:
    """down(kernel(gate(x), up(x))) (liger_kernel transformers/swiglu.py, LigerSwiGLUMLP)."""
    wide, up = linear(tape, x, gate, ROW), linear(tape, x, form.up, ROW)
    product = liger_product(tape, wide, up)
    tape.drop(wide, up)
    result = linear(tape, product, form.down, ROW)
    tape.drop(product)
    return result


def _named(tape: Tape, x: Buffer, form: FeedForwardForm, gate: LinearForm) -> Buffer:
    """down(up(x) * act(gate(x))) (modeling_qwen.py, QWenMLP)."""
    up, wide = linear(tape, x, form.up, ROW), linear(tape, x, gate, ROW)
    active = activated(tape, wide, form.activation, ROW, autocast=form.up.autocast is not None)
    product = multiply(tape, up, active, ROW)
    tape.drop(active)
    result = linear(tape, product, form.down, ROW)
    tape.drop(product, up, wide)
    return result
