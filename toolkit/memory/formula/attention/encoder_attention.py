"""Bidirectional attention of encoders: by a fused kernel, eager, or disentangled (DeBERTa)."""

from __future__ import annotations

from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import KERNELS
from toolkit.memory.formula.attention.disentangled import (
    MASK,
    PositionsForm,
    masked_scores,
    position_scores,
    position_table,
    product_in,
)
from toolkit.memory.formula.attention.joined_attention import JoinedForm, attend_jointly
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import (
    Given,
    add,
    add_into,
    cast,
    contract,
    drop_out,
    headed,
    letting_go,
    resized,
    scale,
    shifted,
    wider,
)
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.spec.fields.kernel_names import MATH


@frozen
class EncoderAttentionForm:
    """The attention of an encoder layer: `heads` heads over `width`, with separate linears for q, k and v.

    `kernel` is flash, eager or math (torch's own operations), or masked or varying for padded rows; `positions` are
    DeBERTa's. `dropout` is that of the probabilities, which fused kernels apply without a saved mask. `keeps_scores`:
    softmax saves its input as well. `mask` is the dtype of the mask that eager attention adds. `names_scores`: its code
    refers to the scores to its end, as before transformers 5. `bias` is the dtype of a bias for each pair and head,
    added in place (MPNet). With `joined` one product makes q, k and v (the first DeBERTa).
    """

    heads: int
    width: int
    query: LinearForm
    key: LinearForm
    value: LinearForm
    output: LinearForm
    kernel: str
    autocast: str | None = None
    narrows: str | None = None  # as in a decoder's attention
    dropout: bool = False
    keeps_scores: bool = False
    positions: PositionsForm | None = None
    mask: str | None = None
    names_scores: bool = False
    bias: str | None = None
    trains_bias: bool = False
    joined: JoinedForm | None = None


Attended = tuple[Buffer, tuple[Buffer, ...], tuple[Buffer, ...]]
"""Attention's result, the queries, keys and values that its code still holds, and the probabilities it returns."""


def attend_both_ways(tape: Tape, x: Buffer, form: EncoderAttentionForm) -> Attended:
    """The heads' results concatenated, before the output projection; the caller keeps `x`."""
    if form.joined is not None:
        return attend_jointly(tape, x, form.joined), (), ()
    if form.positions is not None:
        return _disentangled(tape, x, form, form.positions), (), ()
    query, key, value = (linear(tape, x, part, STATES) for part in (form.query, form.key, form.value))
    if form.kernel == "eager":
        mixed, weights = _eager(tape, query, key, value, form)
        return mixed, (query, key, value), (weights,)
    return KERNELS[form.kernel](tape, query, key, value, _as_decoders(form)), (query, key, value), ()


def _as_decoders(form: EncoderAttentionForm) -> AttentionForm:
    """The decoder's form of this attention: as many keys as queries, nothing repeated, bidirectional."""
    head = form.width // form.heads
    projections = (form.query, form.key, form.value)
    form_of_heads = AttentionForm(form.heads, form.heads, head, head, projections, form.output, form.kernel, "none")
    drops = form.dropout and form.kernel == MATH
    return replace(form_of_heads, autocast=form.autocast, narrows=form.narrows, dropout=drops, causal=False)


def _eager(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: EncoderAttentionForm) -> tuple[Buffer, Buffer]:
    """Scores of every pair, scaled, softmax in their dtype, dropout (transformers' eager_attention_forward of BERT)."""
    left, right = (_factor(tape, part, form) for part in (query, key))
    scores = contract(tape, left, right, SCORES, 0, _pairs(form, left.dtype))
    tape.drop(left, right)
    scores = letting_go(tape, scores, scale(tape, scores, SCORES))
    if form.bias is not None:
        size = Size(pair=form.heads * BYTES[form.bias])
        bias = Buffer(SCORES, size, 0, form.bias, form.trains_bias, held=False, counted=False)  # the model's own
        scores = add_into(tape, scores, bias)
    if form.mask is not None:
        summed = shifted(tape, scores, SCORES, wider(scores.dtype, form.mask))
        scores = letting_go(tape, scores, summed)
    weights = _softmax(tape, scores, form)
    if not form.names_scores:
        tape.drop(scores)
    weights = _dropped_out(tape, weights, form)
    values = _factor(tape, value, form)
    mixed = _mix(tape, weights, values, form)
    tape.drop(values)
    result = letting_go(tape, mixed, headed(tape, mixed))
    tape.drop(scores)
    return result, weights


def _factor(tape: Tape, x: Buffer, form: EncoderAttentionForm) -> Buffer:
    """Queries, keys or values as operands of a product: in autocast's dtype, and with their heads first."""
    inner = cast(tape, x, form.autocast or x.dtype, STATES)
    copy = headed(tape, inner)
    return copy if inner is x else letting_go(tape, inner, copy)


def _pairs(form: EncoderAttentionForm, dtype: str) -> Size:
    return Size(pair=form.heads * BYTES[dtype])


def _softmax(tape: Tape, scores: Buffer, form: EncoderAttentionForm) -> Buffer:
    """Softmax, which saves its result; autocast runs it in float32, without a copy for float16 (half_to_float)."""
    wide = cast(tape, scores, "fp32", SCORES) if form.autocast and scores.dtype != "fp16" else scores
    dtype = "fp32" if form.autocast else scores.dtype
    result = tape.new(SCORES, 0, dtype, grad=wide.grad, size=resized(wide, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    saved = (wide, result) if form.keeps_scores and form.positions is None else (result,)
    tape.node(result, backward, tape.save(*saved) if wide.grad else ())
    if wide is not scores:
        tape.drop(wide)
    return result


def _dropped_out(tape: Tape, weights: Buffer, form: EncoderAttentionForm) -> Buffer:
    return letting_go(tape, weights, drop_out(tape, weights, SCORES)) if form.dropout else weights


def _mix(tape: Tape, weights: Buffer, values: Buffer, form: EncoderAttentionForm) -> Buffer:
    """The product of probabilities and values, in the dtype of the values, or in autocast's."""
    dtype = form.autocast or values.dtype
    return product_in(tape, weights, values, dtype, OUTPUT, form.width, resized(values, dtype))


def _disentangled(tape: Tape, x: Buffer, form: EncoderAttentionForm, positions: PositionsForm) -> Buffer:
    """Scores of contents, and between contents and relative positions (transformers modeling_deberta_v2.py).

    Its code holds the scores of positions, the masked scores and the probabilities to its end.
    """
    query, key, value = (_projected(tape, x, part) for part in (form.query, form.key, form.value))
    scaled = scale(tape, key, STATES)
    dtype = form.autocast or query.dtype
    contents = product_in(tape, query, scaled, dtype, SCORES, 0, _pairs(form, dtype))
    tape.drop(scaled)
    table = position_table(tape, positions)
    related, whole = position_scores(tape, query, key, table, positions)
    total = letting_go(tape, contents, add(tape, contents, related, SCORES))
    ones = tape.new(MASK, 0, "bool", size=Size(pair=BYTES["bool"]))
    masked = letting_go(tape, total, masked_scores(tape, total))
    weights = _dropped_out(tape, _softmax(tape, masked, form), form)
    mixed = _mix(tape, weights, value, form)
    result = letting_go(tape, mixed, headed(tape, mixed))
    tape.drop(whole, ones, masked, weights, table, query, key, value)
    return result


def _projected(tape: Tape, x: Buffer, form: LinearForm) -> Buffer:
    """A projection with its heads before the positions: a contiguous copy."""
    whole = linear(tape, x, form, STATES)
    return letting_go(tape, whole, headed(tape, whole))
