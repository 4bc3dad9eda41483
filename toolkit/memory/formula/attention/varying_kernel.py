"""FlashAttention over rows that are padded, whose real tokens are gathered and put back afterwards, or packed.

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
"""Tokens for which each row adds to the sums of dq."""


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
    """The kernel for samples of one row that positions tell apart, which takes contiguous states.

    Turned parts that were joined are copied for it, and what is a part of one projection for all three. Source:
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
    """The same where lengths are given, which takes the states as they lie."""
    dtype = form.flash_dtype(query.dtype)
    return fused(tape, (query, key, value), form, dtype, _working(form, dtype))


def _gathered(tape: Tape, parts: tuple[Buffer, ...], form: AttentionForm) -> tuple[Buffer, ...]:
    """Keys, values and queries in the order in which they are gathered; of a single token there is nothing to gather.

    What a cache lays out with its heads first is copied before, and so are queries that were put together anew.
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
    """The real tokens of a tensor: while a cache is read, of all that it has, or of its window."""
    size, each = x.size, x.width * BYTES[x.dtype]
    if tape.cache == READS:
        size = Size(pair=each) if form.window is None else Size(sequence=form.window * each)
    if not copies:
        return _moved(tape, x, STATES, size)
    with tape.temporary(STATES, size):
        return _moved(tape, x, STATES, size)


def _moved(tape: Tape, x: Buffer, row: str, size: Size | None = None) -> Buffer:
    """Rows picked by an index, or put where it says: backward does the other, in a new tensor."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=size or x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _working(form: AttentionForm, dtype: str) -> Working:
    """Sums of rows and of dq in float32, with 128 tokens more for each row, and dk and dv for every query head."""
    each = form.query_heads * BYTES["fp32"]
    wide = each * (-(-form.head_dim // 32) * 32)
    sums = tuple(Size(token=size, sequence=TILE * size) for size in (each, wide))
    return Working(after=(*sums, *expanded_heads(form, dtype)))
