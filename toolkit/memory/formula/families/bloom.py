"""A layer of BLOOM, whose attention materializes its scores, starting from biases by distance (ALiBi).

Source: transformers 5.23 modeling_bloom.py, BloomAttention.forward, BloomBlock.forward.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES
from toolkit.memory.formula.caches.cached import LAID_OUT, cached
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import (
    Given,
    add,
    cast,
    contract,
    drop_out,
    headed,
    letting_go,
    resized,
    scale,
    split,
    transposed,
)
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

RESIDUAL = "residual_stream"


@frozen
class BloomForm:
    """A layer of BLOOM: `fused` gives queries, keys and values of `heads` heads over the hidden width."""

    hidden: int
    heads: int
    fused: LinearForm
    output: LinearForm
    feed_forward: FeedForwardForm
    norm: NormForm
    autocast: str | None = None
    wide_mask: bool = False  # the mask, of the dtype of the embeddings, is float32
    dropout: bool = False
    score_dropout: bool = False
    lone: bool = False  # a single sequence, whose heads are reshaped without a copy


def bloom_layer(tape: Tape, x: Buffer, form: BloomForm) -> Buffer:
    """The layer's result; the caller keeps `x`. Its code holds the probabilities to its end."""
    normed = normalise(tape, x, form.norm)
    middle, probabilities = _attend(tape, normed, x, form)
    inner = normalise(tape, middle, form.norm)
    tape.drop(normed)
    fed = _dropped_out(tape, feed_forward(tape, inner, form.feed_forward), form)
    result = add(tape, middle, fed, RESIDUAL)
    if probabilities.grad:
        tape.beside.append(probabilities)
    tape.drop(fed, inner, middle, probabilities)
    return result


def _dropped_out(tape: Tape, x: Buffer, form: BloomForm) -> Buffer:
    return letting_go(tape, x, drop_out(tape, x, RESIDUAL)) if form.dropout else x


def _attend(tape: Tape, x: Buffer, residual: Buffer, form: BloomForm) -> tuple[Buffer, Buffer]:
    """The sum of the stream and attention's result, and the probabilities. All names last until it returns."""
    whole = linear(tape, x, form.fused, STATES)
    query, key, value = split(tape, whole, (form.hidden,) * 3)
    key, value = cached(tape, key, value)
    if not form.lone:
        query = transposed(tape, query)
    if tape.cache not in LAID_OUT and not form.lone:
        key, value = transposed(tape, key), transposed(tape, value)
    dtype = form.autocast or query.dtype
    scores = _product(tape, query, key, SCORES, 0, Size(pair=form.heads * BYTES[dtype]), dtype, added=True)
    masked = scale(tape, scores, SCORES, dtype="fp32" if form.wide_mask else None, constants=0)
    probabilities = _softmax(tape, masked, query.dtype, form)
    mixed = _product(tape, probabilities, value, OUTPUT, form.hidden, Size(token=form.hidden * BYTES[dtype]), dtype)
    context = letting_go(tape, mixed, (transposed if form.lone else headed)(tape, mixed))
    attended = _dropped_out(tape, linear(tape, context, form.output, OUTPUT), form)
    result = add(tape, residual, attended, RESIDUAL)
    tape.drop(whole, query, key, value, scores, masked, context, attended)
    return result, probabilities


def _product(
    tape: Tape, x: Buffer, y: Buffer, row: str, width: int, size: Size, dtype: str, *, added: bool = False
) -> Buffer:  # fmt: skip
    """A product of two activations in a dtype; that of scores is `added` to the positions' biases."""
    left, right = cast(tape, x, dtype, x.row), cast(tape, y, dtype, y.row)
    result = contract(tape, left, right, row, width, size, added=added)
    tape.drop(*(inner for inner, part in ((left, x), (right, y)) if inner is not part))
    return result


def _softmax(tape: Tape, scores: Buffer, dtype: str, form: BloomForm) -> Buffer:
    """A float32 copy (none for float16), its softmax (saved), the probabilities cast back, and dropout."""
    wide = scores if scores.dtype == "fp16" else cast(tape, scores, "fp32", SCORES)
    result = tape.new(SCORES, 0, "fp32", grad=wide.grad, size=resized(wide, "fp32"))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    tape.node(result, backward, tape.save(result) if wide.grad else ())
    if wide is not scores:
        tape.drop(wide)
    narrow = letting_go(tape, result, cast(tape, result, dtype, SCORES))
    return letting_go(tape, narrow, drop_out(tape, narrow, SCORES)) if form.score_dropout else narrow
