"""The kernels that attend: flash, sdpa with a mask, and eager attention with its scores in memory."""

from __future__ import annotations

from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.attention_form import OUTPUT, SCORES, STATES, AttentionForm
from toolkit.memory.formula.operations import Given, cast, contract, letting_go, scale
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape import Tape

KERNEL = "attention_backward"


def flash(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """A flash kernel: saves q, k, v, its result and a float32 log-sum-exp; backward needs float32 sums of dq.

    Source: flash-attention 2 as in aten/src/ATen/native/transformers/cuda/flash_attn/flash_api.cpp: dq is
    accumulated in float32 over lengths padded to 128; dk and dv are made for every query head, then summed.
    """
    dtype = form.autocast or query.dtype
    if form.repeats:
        key, value = _repeated(tape, key, form), _repeated(tape, value, form)
    inner = tuple(cast(tape, part, dtype, STATES) for part in (query, key, value))
    result = tape.new(OUTPUT, form.query_heads * form.value_head_dim, dtype, grad=query.grad)
    log_sums = tape.new(OUTPUT, form.query_heads, "fp32")
    saved = tape.save(*inner, result, log_sums) if query.grad else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(KERNEL, _flash_working(form, dtype)):
            given = [tape.gradient(part) for part in inner]
        return list(zip(inner, given, strict=True))

    tape.node(result, backward, saved)
    tape.drop(log_sums)
    for part, original in zip(inner, (query, key, value), strict=True):
        if part is not original:
            tape.drop(part)
    if form.repeats:
        tape.drop(key, value)
    # The result lies in memory as the queries do: those put together anew have their heads before the positions.
    return letting_go(tape, result, _transposed(tape, result)) if form.heads_first else result


def _flash_working(form: AttentionForm, dtype: str) -> Size:
    accumulated = form.query_heads * (-(-form.head_dim // 32) * 32) * BYTES["fp32"]
    sums = form.query_heads * BYTES["fp32"]
    grouped = form.is_grouped and not form.repeats
    expanded = form.query_heads * (form.head_dim + form.value_head_dim) * BYTES[dtype] if grouped else 0
    return Size(padded=accumulated + sums, token=expanded)


def eager(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Scores and probabilities for every pair of positions (transformers' eager_attention_forward)."""
    dtype = form.autocast or query.dtype
    keys, values = (_repeated(tape, part, form) for part in (key, value))
    scores = _scores(tape, query, keys, form, dtype)
    probabilities = (_softmax_with_sinks if form.sinks else _softmax)(tape, scores, dtype)
    width = form.query_heads * form.value_head_dim
    inner = _contiguous(tape, values, dtype, copies=not form.is_grouped)
    mixed = contract(tape, probabilities, inner, OUTPUT, width, Size(token=width * BYTES[dtype]))
    result = letting_go(tape, mixed, _transposed(tape, mixed))
    if form.binds_probabilities:
        tape.bound.append(probabilities)
    else:
        tape.drop(probabilities)
    for part, original in ((keys, key), (values, value), (inner, values)):
        if part is not original:
            tape.drop(part)
    return result


def _repeated(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    if not form.is_grouped:
        return x
    result = tape.new(STATES, form.repeated, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _scores(tape: Tape, query: Buffer, keys: Buffer, form: AttentionForm, dtype: str) -> Buffer:
    """Q k^T, times the scale, plus the mask: each a tensor of heads x pairs; bmm keeps a contiguous copy of q.

    The mask has the dtype of the residual stream, to which it promotes the scores.
    """
    size = Size(pair=form.query_heads * BYTES[dtype])
    first = _contiguous(tape, query, dtype, copies=not form.heads_first)
    second = _contiguous(tape, keys, dtype, copies=not (form.heads_first or form.is_grouped))
    product = contract(tape, first, second, SCORES, 0, size)
    tape.drop(*(part for part in (first, second) if part is not query and part is not keys))
    scaled = letting_go(tape, product, scale(tape, product, SCORES))
    if form.softcap:
        scaled = _capped(tape, scaled)
    promoted = "fp32" if form.wide_rotary else None
    return letting_go(tape, scaled, scale(tape, scaled, SCORES, dtype=promoted))


def _contiguous(tape: Tape, x: Buffer, dtype: str, *, copies: bool) -> Buffer:
    """`x` in the dtype of a product, with its heads first, as torch.matmul folds them into its batch.

    That `copies` it, unless it lies in memory so: repeated heads, and those that were put together anew, do.
    """
    inner = cast(tape, x, dtype, STATES)
    if not copies:
        return inner
    copy = _transposed(tape, inner)
    return copy if inner is x else letting_go(tape, inner, copy)


def _capped(tape: Tape, scores: Buffer) -> Buffer:
    """tanh(scores / c) * c (Gemma 2): tanh saves its result."""
    divided = letting_go(tape, scores, scale(tape, scores, SCORES))
    squashed = _saving_result(tape, divided)
    tape.drop(divided)
    return letting_go(tape, squashed, scale(tape, squashed, SCORES))


def _saving_result(tape: Tape, x: Buffer) -> Buffer:
    """An operation on scores whose backward needs its result (tanh, softmax)."""
    result = tape.new(SCORES, 0, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward, tape.save(result) if x.grad else ())


def _softmax_with_sinks(tape: Tape, scores: Buffer, dtype: str) -> Buffer:
    """gpt-oss: a sink beside the scores, less their maximum, softmax in their dtype; a view leaves the sink out."""
    joined = letting_go(tape, scores, scale(tape, scores, SCORES))
    shifted = letting_go(tape, joined, scale(tape, joined, SCORES))
    result = letting_go(tape, shifted, _saving_result(tape, shifted))
    return letting_go(tape, result, cast(tape, result, dtype, SCORES))


def masked(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Sdpa with a mask (a window shorter than the sequence): keys and values repeated, the mask as a bias, all saved.

    Source: transformers' sdpa_attention.py; torch's memory-efficient kernel (aten .../cuda/attention_backward.cu).
    """
    dtype = form.autocast or query.dtype
    spread = form.is_grouped and form.key_value_heads == 1  # a view: one head needs no copy to stand for all
    keys, values = (part if spread else _repeated(tape, part, form) for part in (key, value))
    inner = tuple(cast(tape, part, dtype, STATES) for part in (query, keys, values))
    bias = tape.new(SCORES, 0, dtype, size=Size(pair=BYTES[dtype]))
    result = tape.new(OUTPUT, form.query_heads * form.value_head_dim, dtype, grad=query.grad)
    log_sums = tape.new(OUTPUT, form.query_heads, "fp32")
    saved = tape.save(*inner, bias, result, log_sums) if query.grad else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        expanded = form.query_heads * (form.head_dim + form.value_head_dim) * BYTES[dtype] if spread else 0
        with tape.temporary(KERNEL, Size(token=form.query_heads * BYTES["fp32"] + expanded)):
            given = [tape.gradient(part) for part in inner]
        return list(zip(inner, given, strict=True))

    tape.node(result, backward, saved)
    tape.drop(log_sums, bias)
    for part, original in zip((*inner, keys, values), (query, keys, values, key, value), strict=True):
        if part is not original:
            tape.drop(part)
    return result


def _transposed(tape: Tape, x: Buffer) -> Buffer:
    """A contiguous copy with the heads before the positions, or back."""
    result = tape.new(STATES, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)


def _softmax(tape: Tape, scores: Buffer, dtype: str) -> Buffer:
    """A float32 copy, its softmax (saved), and the probabilities cast back."""
    wide = cast(tape, scores, "fp32", SCORES)
    result = _saving_result(tape, wide)
    if wide is not scores:
        tape.drop(wide)
    narrow = cast(tape, result, dtype, SCORES)
    tape.drop(scores)
    return letting_go(tape, result, narrow)


KERNELS = {"flash": flash, "masked": masked, "eager": eager}
"""The kernels that attend."""
