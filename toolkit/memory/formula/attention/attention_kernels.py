"""The kernels of attention: flash, sdpa with a mask, and eager attention with its scores in memory."""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES, AttentionForm
from toolkit.memory.formula.attention.fused_kernel import flash_working, fused
from toolkit.memory.formula.attention.masked_kernel import given, given_padded, masked, wide
from toolkit.memory.formula.attention.math_kernel import causal_bias, in_float32
from toolkit.memory.formula.attention.repeated import repeated
from toolkit.memory.formula.attention.varying_kernel import packed, packed_by_lengths, varying
from toolkit.memory.formula.caches.cached import LAID_OUT
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
    shifted,
    transposed,
    wider,
)
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.spec.fields.kernel_names import MATH


def sdpa(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Torch's scaled_dot_product_attention without a mask: a fused kernel, except for grouped float32 heads."""
    dtype = form.autocast or query.dtype
    if dtype == "fp32" and form.is_grouped and not form.repeats:
        return written_out(tape, query, key, value, form)
    return fused(tape, (query, key, value), form, dtype, flash_working(form, dtype))


def flash(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """FlashAttention, which takes only 16-bit states."""
    dtype = form.flash_dtype(query.dtype)
    return fused(tape, (query, key, value), form, dtype, flash_working(form, dtype))


def written_out(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Sdpa where no kernel takes grouped float32 heads: repeated heads, a bias, scores and probabilities.

    Bidirectional attention has no bias. Source: aten/src/ATen/native/transformers/attention.cpp,
    _scaled_dot_product_attention_math; sdp_utils.cpp.
    """
    if form.repeats:  # by transformers
        key, value = repeated(tape, key, form), repeated(tape, value, form)
    first = scale(tape, query, STATES, constants=0)
    bias = causal_bias(tape) if form.causal else None
    keys, values = (part if form.repeats else repeated(tape, part, form) for part in (key, value))
    second = scale(tape, keys, STATES, constants=0)
    laid_out = transposed(tape, first)
    scores = contract(tape, laid_out, second, SCORES, 0, Size(pair=form.query_heads * BYTES["fp32"]))
    tape.drop(laid_out, second)
    if bias is not None:
        scores = letting_go(tape, scores, add(tape, scores, bias, SCORES))
    probabilities = letting_go(tape, scores, _saving_result(tape, scores))
    if form.dropout:
        probabilities = letting_go(tape, probabilities, drop_out(tape, probabilities, SCORES))
    width = form.query_heads * form.value_head_dim
    mixed = contract(tape, probabilities, values, OUTPUT, width, Size(token=width * BYTES["fp32"]))
    tape.drop(probabilities, values, keys, first, *([bias] if bias is not None else []))
    return letting_go(tape, mixed, (transposed if form.lone else headed)(tape, mixed))


def unfused(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Sdpa where no kernel takes 16-bit heads: all of it in float32, with a result in the dtype of the states.

    Source: aten/src/ATen/native/transformers/attention.cpp, _scaled_dot_product_attention_math since 2.5.
    """
    given = query, key, value
    if not any(part.grad for part in given):
        return in_float32(tape, query, key, value, form)
    if form.window is not None:
        raise UnsupportedRow(SCORES, "no formula for sdpa's math kernel with a window yet")
    narrow = form.autocast or query.dtype
    inner = tuple(cast(tape, part, narrow, STATES) for part in given)
    wide = tuple(cast(tape, part, "fp32", STATES) for part in inner)
    result = written_out(tape, wide[0], wide[1], wide[2], form)
    result = letting_go(tape, result, cast(tape, result, narrow, OUTPUT))
    for part, original in zip((*wide, *inner), (*inner, *given), strict=True):
        if part is not original:
            tape.drop(part)
    return result


def eager(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Scores and probabilities for every pair of positions (transformers' eager_attention_forward)."""
    dtype = form.autocast or query.dtype
    keys, values = (part if form.one_for_all else repeated(tape, part, form) for part in (key, value))
    scores = _scores(tape, query, keys, form, dtype)
    softmax = _softmax_with_sinks if form.sinks else _softmax
    dtype = form.autocast or value.dtype
    # The code casts to the dtype of the queries, which autocast casts only when it multiplies.
    probabilities, *held = softmax(tape, scores, dtype if form.sinks or form.autocast is None else query.dtype, form)
    weights = cast(tape, probabilities, dtype, SCORES)
    width = form.query_heads * form.value_head_dim
    laid_out = form.shapes or form.is_grouped or (tape.cache in LAID_OUT and not form.expanded)
    inner = _for_product(tape, values, form, dtype, laid_out=laid_out)
    mixed = contract(tape, weights, inner, OUTPUT, width, Size(token=width * BYTES[dtype]))
    tape.drop(*((weights,) if weights is not probabilities else ()), *((inner,) if inner is not values else ()))
    result = letting_go(tape, mixed, (transposed if form.lone else headed)(tape, mixed))
    tape.drop(*held)
    (tape.bound if form.binds_probabilities else tape.named).append(probabilities.base or probabilities)
    for part, original in ((keys, key), (values, value)):
        if part is not original:
            tape.drop(part)
    return result


def _scores(tape: Tape, query: Buffer, keys: Buffer, form: AttentionForm, dtype: str) -> Buffer:
    """Q k^T, times the scale, plus the mask: each a tensor of heads x pairs; bmm saves a contiguous copy of q.

    The mask has the dtype of the residual stream, to which it promotes the scores.
    """
    size = Size(pair=form.query_heads * BYTES[dtype])
    first = _contiguous(tape, query, dtype, copies=not (form.heads_first or form.lone))
    laid_out = form.heads_first or form.is_grouped or tape.cache in LAID_OUT
    second = _for_product(tape, keys, form, dtype, laid_out=laid_out)
    product = contract(tape, first, second, SCORES, 0, size)
    tape.drop(*(part for part in (first, second) if part is not query and part is not keys))
    scaled = letting_go(tape, product, scale(tape, product, SCORES))
    if form.softcap:
        scaled = _capped(tape, scaled)
    promoted = "fp32" if form.wide_rotary else None
    summed = letting_go(tape, scaled, shifted(tape, scaled, SCORES, promoted))
    return letting_go(tape, summed, _clamped(tape, summed)) if form.clamps else summed


def _clamped(tape: Tape, scores: Buffer) -> Buffer:
    """torch.max(scores, lowest), which saves the scores (modeling_opt.py until 4.48)."""
    result = tape.new(SCORES, 0, scores.dtype, grad=scores.grad, size=scores.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(scores, tape.gradient(scores))]

    return tape.node(result, backward, tape.save(scores) if scores.grad else ())


def _for_product(tape: Tape, x: Buffer, form: AttentionForm, dtype: str, *, laid_out: bool) -> Buffer:
    """Keys or values as torch.matmul folds them into its batch: a single shared head is copied for each query head.

    Of a single sequence it is a view for all of them.
    """
    if not form.one_for_all:
        return _contiguous(tape, x, dtype, copies=not (laid_out or form.lone))
    inner = cast(tape, x, dtype, STATES)
    if form.lone:
        return inner
    copies = repeated(tape, inner, form)
    return copies if inner is x else letting_go(tape, inner, copies)


def _contiguous(tape: Tape, x: Buffer, dtype: str, *, copies: bool) -> Buffer:
    """`x` in the compute dtype, with its heads first, as torch.matmul folds them into its batch.

    This `copies` it unless it is in memory that way, as repeated heads and concatenated ones are, or is that of one
    sequence: then batch and heads are one dimension whatever their strides (aten/src/ATen/native/LinearAlgebra.cpp,
    _matmul_impl; TensorUtils.cpp, computeStride).
    """
    inner = cast(tape, x, dtype, STATES)
    if not copies:
        return inner
    copy = transposed(tape, inner)
    return copy if inner is x else letting_go(tape, inner, copy)


def _capped(tape: Tape, scores: Buffer) -> Buffer:
    """tanh(scores / c) * c (Gemma 2): tanh saves its result."""
    divided = letting_go(tape, scores, scale(tape, scores, SCORES))
    squashed = _saving_result(tape, divided)
    tape.drop(divided)
    return letting_go(tape, squashed, scale(tape, squashed, SCORES))


def _saving_result(tape: Tape, x: Buffer, dtype: str | None = None) -> Buffer:
    """An operation on scores that saves its result (tanh, softmax), which may have a wider dtype."""
    wide = dtype or x.dtype
    result = tape.new(SCORES, 0, wide, grad=x.grad, size=resized(x, wide))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward, tape.save(result) if x.grad else ())


def _softmax_with_sinks(tape: Tape, scores: Buffer, dtype: str, form: AttentionForm) -> tuple[Buffer, ...]:
    """The probabilities of gpt-oss, and what its code still refers to: the logits, and the original of a cast.

    A sink is a further column of each row of scores. The scores minus their maximum, whose index is saved, go through a
    softmax in their own dtype, under autocast too; a view leaves the sink out (modeling_gpt_oss.py,
    eager_attention_forward).
    """
    joined = _with_sinks(tape, scores, form)
    shifted = letting_go(tape, joined, _less_maximum(tape, joined, form))
    whole = _saving_result(tape, shifted)
    kept = _without_sinks(tape, whole, form)
    dropped = drop_out(tape, kept, SCORES) if form.dropout else kept
    result = cast(tape, dropped, dtype, SCORES)
    if dropped not in (kept, result):
        tape.drop(dropped)
    tape.drop(scores)  # the result takes over its name
    return (result, shifted) if result.base is whole else (result, shifted, whole)


def _with_sinks(tape: Tape, scores: Buffer, form: AttentionForm) -> Buffer:
    """cat((scores, sinks)): one more column; the gradient of the scores is a view."""
    wide = wider(scores.dtype, form.sinks or scores.dtype)
    each = form.query_heads * BYTES[wide]
    result = tape.new(SCORES, 0, wide, grad=scores.grad, size=Size(pair=each, token=each))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(scores, tape.share(gradient, scores))]

    return tape.node(result, backward)


def _without_sinks(tape: Tape, whole: Buffer, form: AttentionForm) -> Buffer:
    """A view of all columns but the last; its gradient is put into zeros."""
    size = Size(pair=form.query_heads * BYTES[whole.dtype])
    view = Buffer(SCORES, size, 0, whole.dtype, whole.grad, held=False, counted=False, base=whole)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(whole, tape.gradient(whole))]

    return tape.node(view, backward)


def _less_maximum(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """X - x.max(): x gets the gradient unchanged, and that of the maximum is put into zeros."""
    index = tape.new(SCORES, 0, "int64", size=Size(token=form.query_heads * BYTES["int64"]))
    result = tape.new(SCORES, 0, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x)), (x, tape.gradient(x))]

    tape.node(result, backward, tape.save(index) if x.grad else ())
    tape.drop(index)
    return result


def _softmax(tape: Tape, scores: Buffer, dtype: str, form: AttentionForm) -> tuple[Buffer]:
    """A float32 copy, its softmax (saved), and the probabilities cast back; autocast runs every softmax in float32.

    float16 needs no copy: the kernel itself returns float32 (aten/src/ATen/native/SoftMax.cpp, half_to_float). Code
    without a cast leaves autocast's float32 result, dropout included, until the product with the values.
    """
    narrows = form.narrow_softmax and form.autocast is None
    wide = scores if narrows or scores.dtype == "fp16" else cast(tape, scores, "fp32", SCORES)
    result = _saving_result(tape, wide, None if narrows else "fp32")
    if wide is not scores:
        tape.drop(wide)
    if not form.leaves_softmax:
        result = letting_go(tape, result, cast(tape, result, dtype, SCORES))
    tape.drop(scores)
    return (letting_go(tape, result, drop_out(tape, result, SCORES)) if form.dropout else result,)


KERNELS = {
    "sdpa": sdpa,
    "flash": flash,
    "masked": masked,
    "given": given,
    "given padded": given_padded,
    "eager": eager,
    "varying": varying,
    "wide": wide,
    "packed": packed,
    "packed by lengths": packed_by_lengths,
    MATH: unfused,
}
"""The function of each kernel."""

FLASH_KERNELS = ("flash", "packed", "packed by lengths")
"""FlashAttention's kernels over rows that are not padded; they take heads of one width."""
