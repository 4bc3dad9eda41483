"""A mixture of experts: all at once on gathered tokens, as in transformers 5, or one expert after the other.

Width of a gathered tensor: k experts per token x its own width.
"""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.experts.expert_adapters import Factors, factors_of, merged_product, merged_weights
from toolkit.memory.formula.experts.expert_gates import clamped_gate, gated_share, plain_gate
from toolkit.memory.formula.experts.liger_experts import liger_experts
from toolkit.memory.formula.experts.router import FLOAT_SOFTMAX, ROUTER, routes
from toolkit.memory.formula.experts.scattered import scattered
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, activate, add, cast, letting_go, multiply, narrowed, wider
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "expert_states"
CHOSEN = "chosen_experts"


@frozen
class MixtureForm:
    """The experts of a layer.

    If fused, `products` are gate-and-up and down of all experts, as wide as all of a token's chosen experts. If looped,
    they are those of one expert, as wide as its share of a token: gate, up and down, or gate-and-up and down. If
    scattered, they are up, gate and down of all experts.
    """

    experts: int
    chosen: int
    router: LinearForm
    products: tuple[LinearForm, ...]
    casts_weights: bool = False  # the routing weights are cast back from float32 to the dtype of the layer's input
    clamped: bool = False  # gpt-oss's gate with its limits and its sigmoid
    biased: bool = False  # each gathered token gets a row of its expert's biases (gpt-oss)
    looped: bool = False
    liger: bool = False  # fused, by Liger's kernels
    scattered: bool = False  # by ScatterMoE's kernels, with a router of their own
    batched: bool = False  # each token's experts are copied for it, as transformers does while it decodes
    shared: FeedForwardForm | None = None
    shared_gate: LinearForm | None = None  # one number per token, whose sigmoid multiplies the shared expert's result
    shared_first: bool = False  # the shared expert runs before the others, where they are fused
    activation: str = ""  # where experts have no gate, the function between their two products (Nemotron-H)
    autocast: bool = False
    routes_by: str = FLOAT_SOFTMAX  # how a router's logits become weights


def mixture(tape: Tape, x: Buffer, form: MixtureForm) -> Buffer:
    """The weighted sum of the chosen experts and the shared one; the caller keeps `x`.

    A shared expert with a gate runs before fused experts (transformers modeling_qwen2_moe.py), as do ERNIE's and
    Hunyuan's; others run after them.
    """
    if form.scattered:
        return _with_shared(tape, x, scattered(tape, x, form.router, form.products, form.chosen), form, None)
    early = feed_forward(tape, x, form.shared) if form.shared and form.shared_first and not form.looped else None
    weights = routes(tape, x, form.router, form.chosen, form.routes_by, x.dtype if form.casts_weights else None)
    result = run_experts(tape, x, weights, form)
    tape.drop(weights)
    return _with_shared(tape, x, result, form, early)


def run_experts(tape: Tape, x: Buffer, weights: Buffer, form: MixtureForm) -> Buffer:
    """The weighted sum of the chosen experts' results; the caller keeps both inputs."""
    if form.liger:
        return liger_experts(tape, x, weights, form.products, form.experts, form.chosen)
    run = _one_by_one if form.looped else _copied if form.batched else _together
    return run(tape, x, weights, form)


def _together(tape: Tape, x: Buffer, weights: Buffer, form: MixtureForm) -> Buffer:
    """All experts at once, on tokens gathered by expert (transformers since 5, integrations/moe.py)."""
    factors = [factors_of(tape, one, form.experts, form.chosen) for one in reversed(form.products)][::-1]
    gathered = _gather(tape, x, form.chosen * x.width)
    out, named = _experts(tape, gathered, form, factors)
    weighted = _weigh(tape, out, weights)
    ordered = letting_go(tape, weighted, _gather(tape, weighted, weighted.width, rows=form.chosen))
    result = _sum(tape, ordered, x)
    tape.drop(ordered, gathered, out, *named, *(part for pair in factors if pair for part in pair))
    return result


def _experts(
    tape: Tape, x: Buffer, form: MixtureForm, factors: Sequence[Factors | None]
) -> tuple[Buffer, tuple[Buffer, ...]]:
    """down(gate(x)) of gathered tokens, and the tensors named to the end: biases of down, weights with adapters."""
    wide_product, down = form.products
    biases = _biases(tape, wide_product, form)
    wide, first = _grouped(tape, x, wide_product, factors[0])
    product = _between(tape, wide, form)
    tape.drop(wide)
    later = _biases(tape, down, form)
    tape.drop(*biases)
    result, second = _grouped(tape, product, down, factors[1])
    tape.drop(product)
    return result, (*later, *first, *second)


def _between(tape: Tape, wide: Buffer, form: MixtureForm) -> Buffer:
    """The input of the second product: activated gate times up, or the activation alone."""
    if form.activation:
        return activated(tape, wide, form.activation, ROW, autocast=form.autocast)
    return (clamped_gate if form.clamped else plain_gate)(tape, wide)


def _grouped(tape: Tape, x: Buffer, form: LinearForm, factors: Factors | None) -> tuple[Buffer, tuple[Buffer, ...]]:
    """A product of gathered tokens with their experts, and the weights that adapters were added to for it."""
    if factors is None:
        return linear(tape, x, form, ROW), ()
    result, merged = merged_product(tape, x, form, factors, ROW)
    return result, (merged,)


def _biases(tape: Tape, product: LinearForm, form: MixtureForm) -> tuple[Buffer, ...]:
    """A row of biases for each gathered token; it is added in place, so nothing saves it."""
    return (tape.new(ROW, product.outputs, product.dtype),) if form.biased else ()


def _copied(tape: Tape, x: Buffer, weights: Buffer, form: MixtureForm) -> Buffer:
    """Each token times copies of its experts' weights; those of gate and up are freed once those of down exist.

    They are copied from weights to which adapters were added, which are there to the end. Source: transformers
    integrations/moe.py, batched_mm_experts_forward; generation/utils.py, which runs it to decode.
    """
    factors = [factors_of(tape, one, form.experts, form.chosen) for one in reversed(form.products)][::-1]
    repeated = tape.new(ROW, form.chosen * x.width, x.dtype)
    first, second = form.products
    merged = _merged(tape, first, factors[0])
    copies = (_copies(tape, first, form), *_biases(tape, first, form))
    wide = tape.new(ROW, first.outputs, x.dtype)
    product = letting_go(tape, wide, _between(tape, wide, form))
    merged += _merged(tape, second, factors[1])
    later = (_copies(tape, second, form), *_biases(tape, second, form))
    tape.drop(*copies)
    out = letting_go(tape, product, tape.new(ROW, second.outputs, x.dtype))
    weighted = _weigh(tape, out, weights)
    result = _sum(tape, weighted, x)
    tape.drop(weighted, out, repeated, *later, *merged, *(part for pair in factors if pair for part in pair))
    return result


def _merged(tape: Tape, form: LinearForm, factors: Factors | None) -> tuple[Buffer, ...]:
    """All experts' weights with their adapters added, where they have some."""
    return () if factors is None else (merged_weights(tape, form, factors),)


def _copies(tape: Tape, product: LinearForm, form: MixtureForm) -> Buffer:
    return tape.new(CHOSEN, product.elements * form.chosen // form.experts, product.dtype)


def _one_by_one(tape: Tape, x: Buffer, weights: Buffer, form: MixtureForm) -> Buffer:
    """Each expert on its own tokens, its weighted results added to one tensor in place."""
    result = tape.new(ROW, x.width, x.dtype, grad=x.grad)
    for index in range(form.experts):
        gathered = _gather(tape, x, -(-form.chosen * x.width // form.experts))
        out = _expert(tape, gathered, form)
        weighted = _weigh(tape, out, weights)
        narrow = letting_go(tape, weighted, cast(tape, weighted, x.dtype, ROW))
        _add_rows(tape, result, narrow, first=index == 0)
        tape.drop(gathered, out, narrow)
    return result


def _add_rows(tape: Tape, result: Buffer, rows: Buffer, *, first: bool) -> None:
    """index_add_: in place; its backward gathers the rows of the gradient, and saves the index and the rows for it.

    It needs only the shape of the rows (torch, derivatives.yaml: `expand_as(source)`).
    """
    index = tape.new(ROUTER, 1, "int64", size=Size(token=8 * rows.width // max(result.width, 1)))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        given = [(rows, tape.gradient(rows))]
        if not first:
            gradient.references += 1
            given.append((result, gradient))
        return given

    tape.node(result, backward, tape.save(index, rows) if rows.grad else ())
    tape.drop(index)


def _expert(tape: Tape, x: Buffer, form: MixtureForm) -> Buffer:
    """One expert: down(gate(x)), with gate and up from one product or from two."""
    *inner, down = form.products
    if len(inner) == 1:
        wide = linear(tape, x, inner[0], ROW)
        product = letting_go(tape, wide, _between(tape, wide, form))
    else:
        gate = linear(tape, x, inner[0], ROW)
        active = letting_go(tape, gate, activate(tape, gate, ROW))
        up = linear(tape, x, inner[1], ROW)
        product = multiply(tape, active, up, ROW)
        tape.drop(active, up)
    return letting_go(tape, product, linear(tape, product, down, ROW))


def _gather(tape: Tape, x: Buffer, width: int, *, rows: int = 0) -> Buffer:
    """Rows by index: saves the index, one int64 for each of a token's `rows`: as many as its width says, or given."""
    index = tape.new(ROUTER, rows or max(width // max(x.width, 1), 1), "int64")
    saved = tape.save(index) if x.grad else ()
    result = tape.new(ROW, width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(result, backward, saved)
    tape.drop(index)
    return result


def _weigh(tape: Tape, x: Buffer, weights: Buffer) -> Buffer:
    """The experts' results times their weights, promoted to the wider dtype; both are saved.

    Their gradients are cast and summed when the node has returned (engine.cpp, validate_outputs).
    """
    saved = tape.save(x, weights) if x.grad else ()
    result = tape.new(ROW, x.width, wider(x.dtype, weights.dtype), grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        wide = tape.gradient(x, result.dtype)
        with tape.temporary("activation_gradients", result.size):
            if wide.dtype != x.dtype:
                tape.returned()
            given = narrowed(tape, x, wide)
            to_weights = tape.gradient(weights)
        return [(x, given), (weights, to_weights)]

    return tape.node(result, backward, saved)


def _sum(tape: Tape, x: Buffer, like: Buffer) -> Buffer:
    """The sum over a token's experts, cast back; its gradient is expanded without a copy."""
    summed = tape.new(ROW, like.width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(summed, backward)
    return letting_go(tape, summed, cast(tape, summed, like.dtype, ROW))


def _with_shared(tape: Tape, x: Buffer, routed: Buffer, form: MixtureForm, early: Buffer | None) -> Buffer:
    if form.shared is None:
        return routed
    shared = early or feed_forward(tape, x, form.shared)
    if form.shared_gate is not None:
        shared = letting_go(tape, shared, gated_share(tape, x, shared, form.shared_gate))
    total = add(tape, routed, shared, ROW)
    tape.drop(routed, shared)
    return total
