"""A mixture of experts as transformers 5 runs it: tokens are gathered by expert and multiplied in groups.

Width of a gathered tensor: k experts per token x its own width. Source: integrations/moe.py (grouped_mm).
"""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.linear import LinearForm, linear
from toolkit.memory.formula.operations import Given, activate, add, cast, letting_go, multiply, scale, wider
from toolkit.memory.tape import Buffer, Size, Tape

ROW = "expert_states"
ROUTER = "router_states"


@dataclass(frozen=True, slots=True)
class MixtureForm:
    """The experts of a layer. The products of all chosen experts of a token count as one wide linear layer each.

    `gate_up` and `down` hold the weights of all experts; `clamped` is gpt-oss's gate with its limits and its sigmoid.
    """

    experts: int
    chosen: int
    router: LinearForm
    gate_up: LinearForm
    down: LinearForm
    intermediate: int
    weighted_in: str = "fp32"  # the dtype of the routing weights, and so of the weighted results
    clamped: bool = False
    shared: FeedForwardForm | None = None


def mixture(tape: Tape, x: Buffer, form: MixtureForm) -> Buffer:
    """The weighted sum of the chosen experts, and of the shared one; the caller keeps `x`."""
    weights = _route(tape, x, form)
    gathered = _gather(tape, x, form.chosen * x.width)
    wide = linear(tape, gathered, form.gate_up, ROW)
    product = _clamped_gate(tape, wide, form) if form.clamped else _gate(tape, wide, form)
    tape.drop(wide)
    out = linear(tape, product, form.down, ROW)
    tape.drop(product)
    weighted = _weigh(tape, out, weights)
    ordered = letting_go(tape, weighted, _gather(tape, weighted, weighted.width))
    result = _sum(tape, ordered, x)
    tape.drop(ordered, gathered, out, weights)
    return _with_shared(tape, x, result, form)


def _route(tape: Tape, x: Buffer, form: MixtureForm) -> Buffer:
    """Logits over the experts, float32 probabilities (kept), and the weights of those chosen."""
    logits = linear(tape, x, form.router, ROUTER)
    wide = cast(tape, logits, "fp32", ROUTER)
    probabilities = activate(tape, wide, ROUTER)
    if wide is not logits:
        tape.drop(wide)
    tape.drop(logits)
    weights = tape.new(ROUTER, form.chosen, form.weighted_in, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(probabilities, tape.gradient(probabilities))]

    tape.node(weights, backward, tape.save(probabilities) if x.grad else ())
    tape.drop(probabilities)
    return weights


def _gather(tape: Tape, x: Buffer, width: int) -> Buffer:
    """Rows by index: saves the index, one int64 for each row."""
    index = tape.new(ROUTER, max(width // max(x.width, 1), 1), "int64")
    saved = tape.save(index) if x.grad else ()
    result = tape.new(ROW, width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(result, backward, saved)
    tape.drop(index)
    return result


def _gate(tape: Tape, wide: Buffer, form: MixtureForm) -> Buffer:
    """act(gate) * up, where both are halves of one tensor: what is kept of them keeps it whole."""
    half = _half(tape, wide)
    active = activate(tape, half, ROW)
    product = multiply(tape, active, _half(tape, wide), ROW)
    tape.drop(active)
    return product


def _half(tape: Tape, wide: Buffer) -> Buffer:
    """A view of half of a tensor; its gradient is put together with the other half's into a whole one."""
    view = Buffer(wide.row, Size(), wide.width // 2, wide.dtype, wide.grad, counted=False)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    return tape.node(view, backward, tape.save(wide) if wide.grad else ())


def _clamped_gate(tape: Tape, wide: Buffer, form: MixtureForm) -> Buffer:
    """(clamp(up) + 1) * gate * sigmoid(alpha * gate), gate clamped too (gpt-oss)."""
    gate, up = (_clamp(tape, wide) for _ in range(2))
    scaled = scale(tape, gate, ROW)
    sigmoid = activate(tape, scaled, ROW)
    tape.drop(scaled)
    gated = multiply(tape, gate, sigmoid, ROW)
    tape.drop(sigmoid)
    shifted = scale(tape, up, ROW)
    product = multiply(tape, shifted, gated, ROW)
    tape.drop(shifted, gated, gate, up)
    return product


def _clamp(tape: Tape, wide: Buffer) -> Buffer:
    result = tape.new(ROW, wide.width // 2, wide.dtype, grad=wide.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    return tape.node(result, backward, tape.save(wide) if wide.grad else ())


def _weigh(tape: Tape, x: Buffer, weights: Buffer) -> Buffer:
    """The experts' results times their weights, promoted to the wider dtype; both are kept."""
    saved = tape.save(x, weights) if x.grad else ()
    result = tape.new(ROW, x.width, wider(x.dtype, weights.dtype), grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        given = tape.gradient(x)
        with tape.temporary("activation_gradients", result.size):
            to_weights = tape.gradient(weights)
        return [(x, given), (weights, to_weights)]

    return tape.node(result, backward, saved)


def _sum(tape: Tape, x: Buffer, like: Buffer) -> Buffer:
    """The sum over a token's experts, cast back; its gradient is spread without a copy."""
    summed = tape.new(ROW, like.width, x.dtype, grad=x.grad)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(summed, backward)
    return letting_go(tape, summed, cast(tape, summed, like.dtype, ROW))


def _with_shared(tape: Tape, x: Buffer, routed: Buffer, form: MixtureForm) -> Buffer:
    if form.shared is None:
        return routed
    shared = feed_forward(tape, x, form.shared)
    total = add(tape, routed, shared, ROW)
    tape.drop(routed, shared)
    return total
