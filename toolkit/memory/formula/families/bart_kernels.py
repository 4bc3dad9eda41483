"""Attention in BART and its relatives: fused, with a mask, or eager, over its own keys or an encoder's."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES
from toolkit.memory.formula.attention.fused_kernel import efficient_working, wanted
from toolkit.memory.formula.caches.cached import LAID_OUT
from toolkit.memory.formula.operations import (
    Given,
    cast,
    contract,
    drop_out,
    headed,
    letting_go,
    resized,
    scale,
    shifted,
    transposed,
    widened,
    wider,
)
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

EAGER, FLASH, MASKED = "eager", "flash", "masked"
TILE = 32
"""Multiple to which FlashAttention pads a head's width for the sums of the queries' gradient."""


@frozen
class BartKernel:
    """A kernel of `heads` heads of a width: flash, masked (sdpa with a mask) or eager.

    `keys` is the number of keys per sequence where it differs from that of the queries' tokens: an encoder's frames.
    `mask` is the dtype of the mask that eager attention adds, `dropout` that of the probabilities. `crosses`: attention
    is to an encoder's result; `sounds`: this encoder reads sounds.
    """

    name: str
    heads: int
    head_dim: int
    autocast: str | None = None
    dropout: bool = False
    keys: int = 0
    mask: str | None = None
    crosses: bool = False
    sounds: bool = False


def _pairs(query: Buffer, each: int, form: BartKernel) -> Size:
    """The size of so many bytes per query and key; a decoder that begins has one query per sequence."""
    if query.size.sequence and not form.sounds:
        return Size(token=each) if form.crosses else Size(sequence=each)
    return Size(token=each * form.keys) if form.keys else Size(pair=each)


def fused_or_masked(tape: Tape, query: Buffer, states: tuple[Buffer, ...], form: BartKernel, *, shaped: bool) -> Buffer:
    """Saves its inputs, its result and a float32 log-sum-exp; with a mask, a bias of all pairs as well."""
    dtype = form.autocast or query.dtype
    given = (query, *states)
    inner = tuple(cast(tape, part, dtype, STATES) for part in given)
    masks = form.name == MASKED
    bias = tape.new(SCORES, 0, dtype, size=_pairs(query, BYTES[dtype], form)) if masks else None
    needs = any(part.grad for part in given)
    result = tape.new(OUTPUT, query.width, dtype, grad=needs, size=widened(query, query.width, dtype))
    sums = tape.new(OUTPUT, form.heads, "fp32", size=widened(query, form.heads, "fp32"))
    saved = tape.save(*inner, *((bias,) if bias else ()), result, sums) if needs else ()
    working = _working(query, form, masks=masks)

    def backward(tape: Tape, _: Buffer) -> Given:
        return wanted(tape, inner, working)

    tape.node(result, backward, saved)
    tape.drop(sums, *((bias,) if bias else ()))
    tape.drop(*(part for part, own in zip(inner, given, strict=True) if part is not own))
    return letting_go(tape, result, transposed(tape, result)) if shaped and dtype != "fp32" else result


def _working(query: Buffer, form: BartKernel, *, masks: bool) -> tuple[Size, ...]:
    """Float32 sums of each row, and of the gradient of the queries over lengths padded to 128 (flash_api.cpp)."""
    if masks:
        return efficient_working(form.heads, form.head_dim, lone=query.size.sequence > 0)
    each = form.heads * BYTES["fp32"]
    return Size(padded=each), Size(padded=each * -(-form.head_dim // TILE) * TILE)


def eagerly(tape: Tape, query: Buffer, states: tuple[Buffer, ...], form: BartKernel, *, shaped: bool) -> Buffer:
    """Scores of every pair, scaled, softmax in their dtype, dropout (eager_attention_forward)."""
    key, value = states or (query, query)
    left = _factor(tape, query, form, shaped=shaped)
    right = _factor(tape, key, form, shaped=shaped or (key is not query and tape.cache in LAID_OUT))
    scores = contract(tape, left, right, SCORES, 0, _pairs(query, form.heads * BYTES[left.dtype], form))
    tape.drop(*(part for part, own in ((left, query), (right, key)) if part is not own))
    scores = letting_go(tape, scores, scale(tape, scores, SCORES, constants=0))
    if form.mask is not None:
        summed = shifted(tape, scores, SCORES, wider(scores.dtype, form.mask))
        scores = letting_go(tape, scores, summed)
    weights = letting_go(tape, scores, _softmax(tape, scores, form))
    if form.dropout:
        weights = letting_go(tape, weights, drop_out(tape, weights, SCORES))
    dtype = form.autocast or value.dtype
    inner = _factor(tape, value, form, shaped=shaped or (value is not query and tape.cache in LAID_OUT))
    probabilities = cast(tape, weights, dtype, SCORES)
    mixed = contract(tape, probabilities, inner, OUTPUT, query.width, widened(query, query.width, dtype))
    tape.drop(*((inner,) if inner is not value else ()), *((probabilities,) if probabilities is not weights else ()))
    tape.named.append(weights)
    return letting_go(tape, mixed, headed(tape, mixed))


def _factor(tape: Tape, x: Buffer, form: BartKernel, *, shaped: bool) -> Buffer:
    """Queries, keys or values as operands of a product: in autocast's dtype, and with their heads first."""
    inner = cast(tape, x, form.autocast or x.dtype, STATES)
    if shaped:
        return inner
    copy = transposed(tape, inner)
    return copy if inner is x else letting_go(tape, inner, copy)


def _softmax(tape: Tape, scores: Buffer, form: BartKernel) -> Buffer:
    """Softmax, which saves its result; autocast runs it in float32, without a copy for float16 (half_to_float)."""
    wide = cast(tape, scores, "fp32", SCORES) if form.autocast and scores.dtype != "fp16" else scores
    dtype = "fp32" if form.autocast else scores.dtype
    result = tape.new(SCORES, 0, dtype, grad=wide.grad, size=resized(wide, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    tape.node(result, backward, tape.save(result) if wide.grad else ())
    return letting_go(tape, wide, result) if wide is not scores else result
