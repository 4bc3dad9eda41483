"""Llama 4's mixture: every expert runs on every token, whose share for most of them is nought.

Source: transformers 5.23 modeling_llama4.py, Llama4TextMoe, Llama4Router and Llama4TextExperts. Width of what experts
are given: all experts x the hidden width.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.arrays import RESULT, apply, times
from toolkit.memory.formula.experts.expert_gates import plain_gate
from toolkit.memory.formula.experts.mixture import ROW
from toolkit.memory.formula.experts.router import ROUTER
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, add_into, cast, letting_go
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class EveryExpertForm:
    """Experts that all run; `products` are gate-and-up and down of all, side by side, `shared` is one beside them."""

    experts: int
    chosen: int
    router: LinearForm
    products: tuple[LinearForm, LinearForm]
    shared: FeedForwardForm


def every_expert(tape: Tape, x: Buffer, form: EveryExpertForm) -> Buffer:
    """The shared expert's result, to which the sum of all others is added in place; the caller keeps `x`."""
    logits = linear(tape, x, form.router, ROUTER)
    shares = _shares(tape, logits, form)
    copies = _repeated(tape, x, form)
    given = letting_go(tape, copies, times(tape, copies, shares, ROW))
    wide = linear(tape, given, form.products[0], ROW)
    product = plain_gate(tape, wide)
    routed = letting_go(tape, product, linear(tape, product, form.products[1], ROW))
    tape.drop(wide)
    result = feed_forward(tape, x, form.shared)
    total = _over_experts(tape, routed, x.width)
    result = add_into(tape, result, total)
    tape.drop(total, routed, given, shares)
    tape.bound.append(logits)
    return result


def _shares(tape: Tape, logits: Buffer, form: EveryExpertForm) -> Buffer:
    """The sigmoid, in float32, of the chosen logits among lowest numbers: the indices and the sigmoid are kept."""
    index = tape.new(ROUTER, form.chosen, "int64")
    best = tape.new(ROUTER, form.chosen, logits.dtype)
    filled = tape.new(ROUTER, logits.width, logits.dtype, grad=logits.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(logits, tape.gradient(logits))]

    tape.node(filled, backward, tape.save(index) if logits.grad else ())
    wide = cast(tape, filled, "fp32", ROUTER)
    share = apply(tape, wide, ROUTER, RESULT)
    tape.drop(*((wide,) if wide is not filled else ()))
    narrow = letting_go(tape, share, cast(tape, share, logits.dtype, ROUTER))
    tape.drop(filled, index, best)
    return narrow


def _repeated(tape: Tape, x: Buffer, form: EveryExpertForm) -> Buffer:
    """A copy of every token for each expert, whose gradients are summed."""
    result = tape.new(ROW, form.experts * x.width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _over_experts(tape: Tape, x: Buffer, width: int) -> Buffer:
    """The sum over experts: its gradient is copied for each of them."""
    size = Size(*[part * width // x.width for part in x.size])
    result = tape.new(ROW, width, x.dtype, grad=x.grad, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)
