"""Layers with several residual streams: each predicts all, computes on the first, and corrects the others.

Source: transformers 5.23 modeling_gemma3n.py, Gemma3nTextAltUp, Gemma3nTextDecoderLayer.forward and
Gemma3nTextModel.forward. Widths: H = the hidden size, N = the number of streams, all of which pass between layers.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import rectify
from toolkit.memory.formula.arrays import apply
from toolkit.memory.formula.attention.attention import attend, rotate
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.families.gemma4 import keys_alone
from toolkit.memory.formula.families.own_inputs import OwnInputForm, of_own_input
from toolkit.memory.formula.linear.linear import COPIES, linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise, times_weight
from toolkit.memory.formula.operations import (
    Given,
    add,
    add_into,
    cast,
    letting_go,
    narrowed,
    part_of,
    scale,
    transposed,
    widened,
    wider,
)
from toolkit.memory.formula.sparse_feed_forward import SparseForm, sparse_feed_forward
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

ROW = "residual_stream"


@frozen
class StreamsForm:
    """A layer. `hidden` is N * H; `router` gives N numbers of a stream, `predicts` N * N of these, `corrects` N."""

    hidden: int
    width: int
    count: int
    norm: NormForm
    attention: AttentionForm
    around: tuple[LinearForm, LinearForm]
    feed_forward: SparseForm
    router: LinearForm
    predicts: LinearForm
    corrects: LinearForm
    own_input: OwnInputForm


def streams_layer(tape: Tape, x: Buffer, form: StreamsForm) -> Buffer:
    """The layer's result; the caller keeps `x`. All names of its code last until it returns."""
    predictions = _predicted(tape, x, form)
    active = part_of(tape, predictions, form.width, copies=False)
    normed = normalise(tape, active, form.norm)
    laurel = _way_around(tape, normed, form)
    attended = attend(tape, normed, form.attention)
    attended = letting_go(tape, attended, normalise(tape, attended, form.norm))
    gated = add(tape, active, attended, ROW)
    total = add(tape, gated, laurel, ROW)
    middle = letting_go(tape, total, scale(tape, total, ROW, constants=0))
    inner = normalise(tape, middle, form.norm)
    fed = sparse_feed_forward(tape, inner, form.feed_forward)
    fed_normed = normalise(tape, fed, form.norm)
    activated = add(tape, middle, fed_normed, ROW)
    result = _corrected(tape, predictions, activated, form)
    result = _with_own_input(tape, result, form)
    tape.drop(predictions, normed, laurel, attended, gated, middle, inner, fed, fed_normed, activated, *tape.bound)
    tape.bound.clear()
    return result


def keys_of_streams(tape: Tape, x: Buffer, form: StreamsForm) -> None:
    """Only the keys and values of a layer."""
    predictions = _predicted(tape, x, form)
    active = part_of(tape, predictions, form.width, copies=False)
    keys_alone(tape, active, form.norm, form.attention, rotate)
    tape.drop(predictions)


def _way_around(tape: Tape, normed: Buffer, form: StreamsForm) -> Buffer:
    """X + norm(right(left(x))), a product of low rank."""
    left = linear(tape, normed, form.around[0], ROW)
    right = letting_go(tape, left, linear(tape, left, form.around[1], ROW))
    after = normalise(tape, right, form.norm)
    result = add(tape, normed, after, ROW)
    tape.drop(right, after)
    return result


def _modalities(tape: Tape, x: Buffer, form: StreamsForm) -> Buffer:
    """tanh(router(norm(x) / H)), in float32 and back."""
    normed = normalise(tape, x, form.norm)
    scaled = letting_go(tape, normed, scale(tape, normed, ROW))
    routed = linear(tape, scaled, form.router, ROW)
    wide = cast(tape, routed, "fp32", ROW)
    squashed = rectify(tape, wide, ROW)
    result = cast(tape, squashed, x.dtype, ROW)
    tape.drop(scaled, routed, wide)
    return letting_go(tape, squashed, result)


def _predicted(tape: Tape, x: Buffer, form: StreamsForm) -> Buffer:
    """All streams times N * N numbers, and the streams themselves; then in their own order."""
    first = part_of(tape, x, form.width, copies=False)
    modalities = _modalities(tape, first, form)
    numbers = linear(tape, modalities, form.predicts, ROW)
    mixed = _mixed(tape, x, numbers)
    total = add_into(tape, mixed, x)
    ordered = transposed(tape, total)
    tape.drop(mixed)
    result = letting_go(tape, ordered, cast(tape, ordered, x.dtype, ROW))
    tape.drop(modalities, numbers)
    return result


def _mixed(tape: Tape, x: Buffer, numbers: Buffer) -> Buffer:
    """A product of every token's streams and its numbers, in autocast's dtype."""
    streams, factors = (cast(tape, one, numbers.dtype, COPIES) for one in (x, numbers))
    saved = tape.save(*([streams] if factors.grad else []), *([factors] if streams.grad else []))
    result = tape.new(ROW, streams.width, streams.dtype, grad=streams.grad or factors.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(part, tape.gradient(part)) for part in (streams, factors) if part.grad]

    tape.node(result, backward, saved)
    if streams is not x:
        tape.drop(streams)
    return result


def _corrected(tape: Tape, predictions: Buffer, activated: Buffer, form: StreamsForm) -> Buffer:
    """The layer's change to the first stream, times a number for each stream, plus the predictions."""
    modalities = _modalities(tape, activated, form)
    predicted = part_of(tape, predictions, form.width, copies=False)
    change = _less(tape, activated, predicted)
    every = letting_go(tape, change, _repeated(tape, change, form))
    numbers = linear(tape, modalities, form.corrects, ROW)
    shifted = letting_go(tape, numbers, apply(tape, numbers, ROW))
    spread = _spread(tape, every, shifted)
    result = add_into(tape, spread, predictions)
    tape.drop(modalities, every, shifted)
    return result


def _less(tape: Tape, x: Buffer, y: Buffer) -> Buffer:
    """`x - y`: the gradient of y is a new tensor."""
    result = tape.new(ROW, x.width, wider(x.dtype, y.dtype), grad=x.grad or y.grad)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        given = [(x, tape.share(gradient, x))] if x.grad else []
        return given + ([(y, tape.gradient(y))] if y.grad else [])

    return tape.node(result, backward)


def _repeated(tape: Tape, x: Buffer, form: StreamsForm) -> Buffer:
    """A copy for each stream, whose gradients are summed."""
    result = tape.new(ROW, form.hidden, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _spread(tape: Tape, x: Buffer, numbers: Buffer) -> Buffer:
    """`x * numbers`, of which each stands for a stream: the gradient of the numbers is summed from a full product."""
    saved = tape.save(*([x] if numbers.grad else []), *([numbers] if x.grad else []))
    result = tape.new(ROW, x.width, x.dtype, grad=x.grad or numbers.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        given = [(x, tape.gradient(x))] if x.grad else []
        if not numbers.grad:
            return given
        whole = tape.fresh(INCOMING, x.size, x.dtype, x.width)
        tape.returned()
        own = tape.gradient(numbers)
        tape.discard(whole)
        return [*given, (numbers, own)]

    return tape.node(result, backward, saved)


def _with_own_input(tape: Tape, x: Buffer, form: StreamsForm) -> Buffer:
    """The streams; what is made from the first stream and the layer's own input is added to all others."""
    first = part_of(tape, x, form.width, copies=True)
    first = letting_go(tape, first, _scaled(tape, first, form))
    given = of_own_input(tape, first, form.own_input, lets_go=True)
    result = _added_to_others(tape, x, given)
    tape.drop(given)
    return result


def _added_to_others(tape: Tape, x: Buffer, given: Buffer) -> Buffer:
    """`x[1:] += given`, in place and assigned: each is a node that copies the gradient (autograd's CopySlices)."""
    x.grad = x.grad or given.grad
    others = Size(token=x.size.token - x.size.token * given.width // x.width)
    view = Buffer(ROW, others, x.width - given.width, x.dtype, x.grad, held=False, counted=False, base=x.base or x)

    def of_sum(tape: Tape, _: Buffer) -> Given:
        whole = tape.gradient(x)
        with tape.temporary(INCOMING, others):
            wide = tape.fresh(INCOMING, widened(x, given.width, x.dtype), x.dtype, given.width)
            return [(x, whole), (given, narrowed(tape, given, wide))]

    def of_assignment(tape: Tape, _: Buffer) -> Given:
        whole, part = tape.gradient(x), tape.fresh(INCOMING, others, x.dtype, view.width)
        with tape.temporary(INCOMING, others):
            return [(x, whole), (view, part)]

    tape.node(x, of_sum)
    tape.node(view, lambda tape, _: [(x, tape.gradient(x))])
    return tape.node(x, of_assignment)


def _scaled(tape: Tape, x: Buffer, form: StreamsForm) -> Buffer:
    """Times a trained weight for each place of the hidden width, in its dtype and back."""
    low = cast(tape, x, form.norm.dtype, ROW)
    product = times_weight(tape, low, form.norm.dtype, form.norm)
    if low is not x:
        tape.drop(low)
    return letting_go(tape, product, cast(tape, product, x.dtype, ROW))
