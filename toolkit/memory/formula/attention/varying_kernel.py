"""FlashAttention over packed rows, or over padded rows whose real tokens are gathered and scattered back afterwards.

Sources: transformers modeling_flash_attention_utils.py (_upad_input, _pad_input); flash-attention 2,
csrc/flash_attn/flash_api.cpp, mha_varlen_fwd and mha_varlen_bwd. How many tokens are real is data: here all of them.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.fused_kernel import Working, attended, expanded_heads, fused
from toolkit.memory.formula.caches.cached import LAID_OUT, READS
from toolkit.memory.formula.operations import Given, cast, transposed
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

TILE = 128
"""Tokens by which each row extends the float32 sums of dq."""


def varying(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """The kernel for rows of any length: saves gathered q, k, v, its result and a float32 log-sum-exp."""
    dtype = form.flash_dtype(query.dtype)
    inner = tuple(cast(tape, part, dtype, STATES) for part in (query, key, value))
    gathered = _gathered(tape, inner, form)
    result = attended(tape, gathered, form, _working(form, dtype))
    tape.drop(*(part for part, own in zip(inner, (query, key, value), strict=True) if part is not own))
    tape.drop(*(part for part in gathered if part is not query))
    padded = _moved(tape, result, OUTPUT)
    tape.drop(result)
    return padded


def packed(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """The kernel for samples in one row that positions tell apart, which takes contiguous states.

    Concatenated rotated parts are copied for it, and so are parts of one projection for q, k and v. Source:
    transformers modeling_flash_attention_utils.py, _prepare_from_posids.
    """
    states = query, key, value
    laid_out = tuple(
        transposed(tape, part) if part.base is not None or (form.heads_first and part is not value) else part
        for part in states
    )
    dtype = form.flash_dtype(query.dtype)
    as_tokens = replace(form, rotary="whole", sinks=None)  # the result lies as the queries do
    result = fused(tape, (laid_out[0], laid_out[1], laid_out[2]), as_tokens, dtype, _working(form, dtype))
    tape.drop(*(part for part, own in zip(laid_out, states, strict=True) if part is not own))
    return result


def packed_by_lengths(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """The same with given lengths, which takes the states as they are in memory."""
    dtype = form.flash_dtype(query.dtype)
    return fused(tape, (query, key, value), form, dtype, _working(form, dtype))


def _gathered(tape: Tape, parts: tuple[Buffer, ...], form: AttentionForm) -> tuple[Buffer, ...]:
    """Keys, values and queries in the order in which they are gathered; a single token needs no gathering.

    What a cache lays out with its heads first is copied before, and so are concatenated queries.
    """
    query, key, value = parts
    from_cache = tape.cache in LAID_OUT
    several = form.key_value_heads > 1  # a single head lies in memory as its positions do
    keys = _taken(tape, key, form, copies=several and (from_cache or form.heads_first))
    values = _taken(tape, value, form, copies=several and from_cache)
    if tape.cache == READS:
        return query, keys, values
    return _taken(tape, query, form, copies=form.heads_first), keys, values


def _taken(tape: Tape, x: Buffer, form: AttentionForm, *, copies: bool) -> Buffer:
    """The real tokens of a tensor; while a cache is read, all tokens in it, or in its window."""
    size, each = x.size, x.width * BYTES[x.dtype]
    if tape.cache == READS:
        size = Size(pair=each) if form.window is None else Size(sequence=form.window * each)
    if not copies:
        return _moved(tape, x, STATES, size)
    with tape.temporary(STATES, size):
        return _moved(tape, x, STATES, size)


def _moved(tape: Tape, x: Buffer, row: str, size: Size | None = None) -> Buffer:
    """Rows gathered by an index, or scattered to it: backward does the opposite, in a new tensor."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=size or x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _working(form: AttentionForm, dtype: str) -> Working:
    """Float32 sums of rows and of dq, with 128 more tokens for each row, and dk and dv for every query head."""
    each = form.query_heads * BYTES["fp32"]
    wide = each * (-(-form.head_dim // 32) * 32)
    sums = tuple(Size(token=size, sequence=TILE * size) for size in (each, wide))
    return Working(after=(*sums, *expanded_heads(form, dtype)))
