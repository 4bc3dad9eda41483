"""Torch's memory-efficient kernel, which sdpa takes where it is given a mask, and for wide heads."""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import SCORES, STATES, AttentionForm
from toolkit.memory.formula.attention.fused_kernel import Working, attended, efficient_working
from toolkit.memory.formula.attention.repeated import repeated
from toolkit.memory.formula.caches.cached import READS
from toolkit.memory.formula.operations import Given, cast
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

MASK_UNIT = 16
"""Elements of which each row of the kernel's bias has whole multiples (attention.cpp, preprocess_mask)."""


def masked(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Sdpa with a mask (padding, a window shorter than the sequence): keys and values repeated, a bias, all saved.

    Source: transformers' sdpa_attention.py; torch's memory-efficient kernel (aten .../cuda/attention_backward.cu).
    """
    return _biased(tape, (query, key, value), form, 1)


def wide(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Sdpa without a mask of heads that are too wide for its flash kernel: the same without a bias."""
    return _biased(tape, (query, key, value), form, 0)


def given(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """The same with a mask that is a bias already, whose rows are whole units: a view of it for all heads.

    Of the masks of a growing cache most are padded.
    """
    if tape.cache == READS:
        return given_padded(tape, query, key, value, form)
    return _biased(tape, (query, key, value), form, 0)


def given_padded(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """The same where it has to be padded, which copies every head's (aten .../transformers/attention.cpp, pad_bias)."""
    return _biased(tape, (query, key, value), form, form.query_heads)


def _biased(tape: Tape, states: tuple[Buffer, Buffer, Buffer], form: AttentionForm, biases: int) -> Buffer:
    """The kernel, with so many biases of all pairs that are made for it."""
    query, key, value = states
    dtype = form.autocast or query.dtype
    spread = form.one_for_all
    whole = spread or (form.packs and tape.cache == READS)
    keys, values = (part if whole else repeated(tape, part, form) for part in (key, value))
    convert = _cast_for_all if spread and form.expands else _cast_alone
    last, middle = (convert(tape, part, dtype, form) for part in (values, keys))  # the last argument first
    inner = cast(tape, query, dtype, STATES), middle, last
    bias = tape.new(SCORES, 0, dtype, size=Size(biases * form.prefix * BYTES[dtype], pair=biases * BYTES[dtype]))
    narrow = sum(part.width < form.repeated for part in inner[1:]) if spread else 0
    expanded = [Size(token=form.repeated * BYTES[dtype])] * narrow  # gradients of every head, which are summed
    working = Working(tuple(expanded), efficient_working(form.query_heads, form.head_dim))
    result = attended(tape, inner, form, working, (bias,))
    tape.drop(bias)
    for part, original in zip((*inner, keys, values), (query, keys, values, key, value), strict=True):
        if part is not original:
            tape.drop(part)
    return result


def _cast_alone(tape: Tape, x: Buffer, dtype: str, _: AttentionForm) -> Buffer:
    return cast(tape, x, dtype, STATES)


def _cast_for_all(tape: Tape, x: Buffer, dtype: str, form: AttentionForm) -> Buffer:
    """A cast of one head seen as many: it writes every one of them."""
    if x.dtype == dtype:
        return x
    result = tape.new(STATES, form.repeated, dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)
