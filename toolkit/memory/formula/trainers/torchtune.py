"""torchtune's own code: rotary embedding, heads that are expanded for sdpa, 4-bit weights, and its losses.

Sources: torchtune/modules/attention.py, position_embeddings.py; models/llama3_1/_position_embeddings.py,
models/qwen2/_positional_embeddings.py; modules/loss/cross_entropy_loss.py and, until 0.6, ce_chunked_output_loss.py;
torchao nf4_tensor.py (LinearNF4, get_original_weight).
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention import rotate
from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import KERNELS
from toolkit.memory.formula.attention.repeated import repeated
from toolkit.memory.formula.attention.rotary import ROTARY
from toolkit.memory.formula.ends.logits import FLOAT, LABELS, LOGITS, PROBABILITIES, HeadForm, cross_entropy
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, cast, letting_go
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

HIDDEN = "loss_hidden_states"
CHUNKS = 8
"""num_output_chunks, the default of both losses."""


@frozen
class TuneAttentionForm:
    """torchtune's attention, with transformers' widths; adjacent pairs are rotated in float32, or halves."""

    inner: AttentionForm
    paired: bool


def attend_torchtune(tape: Tape, x: Buffer, form: TuneAttentionForm) -> Buffer:
    """MultiHeadAttention.forward without a mask; the caller keeps `x`."""
    inner = form.inner
    if not isinstance(inner.projections, tuple):
        raise TypeError("torchtune's queries, keys and values have a weight each")
    first, second, third = inner.projections
    query = _positioned(tape, linear(tape, x, first, STATES), inner.query_norm, form)
    key, value = linear(tape, x, second, STATES), linear(tape, x, third, STATES)
    key = _positioned(tape, key, inner.key_norm, form)
    if inner.is_grouped:
        key = letting_go(tape, key, repeated(tape, key, inner))
        value = letting_go(tape, value, repeated(tape, value, inner))
    spread = replace(inner, key_value_heads=inner.query_heads, repeats=False)
    attended = KERNELS[inner.kernel](tape, query, key, value, spread)
    result = linear(tape, attended, inner.output, OUTPUT)
    tape.drop(attended, query, key, value)
    return result


def _positioned(tape: Tape, x: Buffer, norm: NormForm | None, form: TuneAttentionForm) -> Buffer:
    if norm is not None:
        x = letting_go(tape, x, normalise(tape, x, norm))
    turned = _paired(tape, x) if form.paired else _halved(tape, x, form.inner)
    return letting_go(tape, x, turned)


def _paired(tape: Tape, x: Buffer) -> Buffer:
    """A float32 copy, four products of its halves, their stacked sums, and the cast back; nothing is saved.

    Backward has the gradient of the whole, the sum from one half, and the other half's gradient, expanded and as half.
    """
    wide = cast(tape, x, "fp32", ROTARY)
    half = Size(*[part // 2 for part in wide.size])
    with tape.temporary(ROTARY, half), tape.temporary(ROTARY, half):
        joined = tape.new(ROTARY, x.width, "fp32", grad=x.grad, size=wide.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        total = tape.gradient(wide)
        with tape.temporary(INCOMING, wide.size), tape.temporary(INCOMING, half):
            pass
        return [(wide, total)]

    tape.node(joined, backward)
    result = cast(tape, joined, x.dtype, STATES)
    if wide is not x:
        tape.drop(wide)
    return letting_go(tape, joined, result)


def _halved(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """Halves rotated as in transformers; each call casts cosines and sines to the heads' dtype and saves them."""
    turned = rotate(tape, x, form)
    if x.dtype == "fp32" or not x.grad:
        return turned
    angles = tape.new(ROTARY, 0, x.dtype, size=Size(position=2 * form.head_dim * BYTES[x.dtype]))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(turned, tape.share(gradient, turned))]

    tape.node(turned, backward, tape.save(angles))
    tape.drop(angles)
    return turned


def linear_chunks_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """LinearCrossEntropyLoss: output layer and loss for an eighth of the tokens at a time, without checkpoints."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    labels, places = tape.new(LABELS, 1, "int64"), tape.new(LABELS, 1, "int64")
    chosen = tape.new(HIDDEN, normed.width, normed.dtype, grad=True)
    chosen_labels = tape.new(LABELS, 1, "int64")

    def put_back(tape: Tape, _: Buffer) -> Given:
        return [(normed, tape.gradient(normed))]

    tape.node(chosen, put_back, tape.save(places))
    weight = _weight(tape, form)
    losses = []
    for part in _parts(tape, chosen):
        logits = _chunk(tape, part, chosen, weight, form)
        wide = cast(tape, logits, "fp32", FLOAT)
        losses.append(cross_entropy(tape, wide))
        tape.drop(wide, logits)
    result = _sum(tape, losses)
    tape.drop(labels, places, chosen, chosen_labels, normed)
    return result


def output_chunks_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """CEWithChunkedOutputLoss: the logits of all tokens in eight parts, of which one at a time is float32."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    labels = tape.new(LABELS, 1, "int64")
    weight = _weight(tape, form)
    outputs = []
    for part in _parts(tape, normed):
        rows = tape.new(HIDDEN, 0, normed.dtype, size=part.size)
        outputs.append(_chunk(tape, part, rows, weight, form))
        tape.drop(rows)
    tape.drop(normed)
    losses = []
    for logits in outputs:
        wide = cast(tape, logits, "fp32", FLOAT)
        losses.append(cross_entropy(tape, wide))
        if wide is not logits:
            tape.drop(wide)
    result = _sum(tape, losses)
    tape.drop(labels, *outputs)
    return result


def whole_outputs_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """The model returns float32 logits of all tokens, and nothing else of its end stays."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    logits = linear(tape, normed, form.projection, LOGITS)
    floats = letting_go(tape, logits, cast(tape, logits, "fp32", FLOAT))
    tape.drop(normed)
    labels = tape.new(LABELS, 1, "int64")
    result = cross_entropy(tape, floats)
    tape.drop(floats, labels)
    return result


def _weight(tape: Tape, form: HeadForm) -> Buffer | None:
    projection = form.projection
    if not projection.trains:
        return None
    weight = tape.parameter(projection.elements, projection.gradient)
    weight.uses = CHUNKS
    return weight


def _chunk(tape: Tape, part: Buffer, rows: Buffer, weight: Buffer | None, form: HeadForm) -> Buffer:
    """The logits of an eighth of the tokens; `rows` is what the product saves where the weight is trained."""
    projection = form.projection
    saved = tape.save(rows) if weight is not None else ()
    size = _eighth(projection.outputs * BYTES[projection.dtype])
    logits = tape.new(LOGITS, 0, projection.dtype, grad=True, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        given: Given = [(part, tape.gradient(part))]
        if weight is not None:
            given.append((weight, tape.weight_gradient(weight, projection.dtype)))
        return given

    return tape.node(logits, backward, saved)


def _parts(tape: Tape, whole: Buffer) -> list[Buffer]:
    """Views of an eighth of the tokens each, made before any is used: their gradients wait for each other.

    Each is put into zeros of the size of the whole (the autograd engine runs the last operation first).
    """
    size = _eighth(whole.width * BYTES[whole.dtype])

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(whole, tape.gradient(whole))]

    views = [
        Buffer(HIDDEN, size, 0, whole.dtype, grad=True, held=False, counted=False, base=whole) for _ in range(CHUNKS)
    ]
    return [tape.node(view, backward) for view in views]


def _sum(tape: Tape, losses: list[Buffer]) -> Buffer:
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(loss, tape.share(gradient, loss)) for loss in losses]

    tape.node(result, backward)
    tape.drop(*losses)
    return result


def _eighth(width: int) -> Size:
    """So many bytes for each of an eighth of the tokens."""
    return Size(token=-(-width // CHUNKS))
