"""T5's attention with its scores in memory: as its module does since transformers 5.15, and as it did before.

Source: modeling_t5.py of 5.23 (eager_attention_forward) and of 5.10 (T5Attention.forward, which knew nothing else).
"""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES
from toolkit.memory.formula.caches.cached import LAID_OUT
from toolkit.memory.formula.operations import (
    Given,
    add_in_place,
    cast,
    contract,
    drop_out,
    headed,
    letting_go,
    scale,
    transposed,
)
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

OWN = "own"
"""The kernel of a version that added the bias in place, and took the softmax in float32."""


def written_out(
    tape: Tape, states: tuple[Buffer, ...], bias: Buffer | None, heads: int, *, autocast: str | None, kernel: str
) -> Buffer:
    """The values by the probabilities of each pair, heads after positions; the caller keeps the states.

    The layer's code has a name for the probabilities (T5Block.forward), which before 5.15 were let go.
    """
    query, *others = states
    key, value = others or (query, query)
    dtype = autocast or query.dtype
    left, right = (_laid_out(tape, part, dtype, own=part is query) for part in (query, key))
    scores = contract(tape, left, right, SCORES, 0, _pairs(query, heads * BYTES[dtype]))
    tape.drop(*(part for part, own in ((left, query), (right, key)) if part is not own))
    if kernel == OWN:
        total = scores if bias is None else add_in_place(tape, scores, bias)
    else:
        scores = letting_go(tape, scores, scale(tape, scores, SCORES, constants=0))
        if bias is not None:
            scores = letting_go(tape, scores, _biased(tape, scores, bias))
        total = scores
    wide = kernel == OWN or autocast is not None
    weights = _probabilities(tape, total, scores, dtype if kernel == OWN else None, wide=wide)
    narrow = cast(tape, weights, dtype, SCORES)  # as autocast does where the code does not
    inner = _laid_out(tape, value, dtype, own=value is query)
    mixed = contract(tape, narrow, inner, OUTPUT, query.width, Size(*left.size))
    tape.drop(*(part for part, own in ((narrow, weights), (inner, value)) if part is not own))
    if kernel == OWN:
        tape.drop(weights)
    else:
        tape.named.append(weights)
    return letting_go(tape, mixed, headed(tape, mixed))


def _pairs(query: Buffer, each: int) -> Size:
    """Scores of every pair; of a decoder that has one token of each sequence yet, those of all that it attends to."""
    return Size(token=each) if query.size.sequence else Size(pair=each)


def _laid_out(tape: Tape, x: Buffer, dtype: str, *, own: bool) -> Buffer:
    """A contiguous copy with heads first, unless it is that of a cache."""
    inner = cast(tape, x, dtype, x.row)
    if tape.cache in LAID_OUT and not own:
        return inner
    copy = transposed(tape, inner)
    return copy if inner is x else letting_go(tape, inner, copy)


def _biased(tape: Tape, scores: Buffer, bias: Buffer) -> Buffer:
    """Scores plus bias: a new tensor; the gradient of a bias that is the same for all sequences is summed."""
    dtype = "fp32" if "fp32" in (scores.dtype, bias.dtype) else scores.dtype
    size = Size(*[part * BYTES[dtype] // BYTES[scores.dtype] for part in scores.size])
    result = tape.new(SCORES, 0, dtype, grad=scores.grad or bias.grad, size=size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        given = [(scores, tape.share(gradient, scores))] if scores.grad else []
        return [*given, (bias, tape.gradient(bias))] if bias.grad else given

    return tape.node(result, backward)


def _probabilities(tape: Tape, scores: Buffer, owner: Buffer, dtype: str | None, *, wide: bool) -> Buffer:
    """The softmax, which saves its result, in float32 or in the dtype of the scores; a cast to `dtype`, and dropout.

    `owner` has the memory of the scores, and goes with them.
    """
    floats = cast(tape, scores, "fp32", SCORES) if wide else scores
    result = tape.new(SCORES, 0, floats.dtype, grad=floats.grad, size=floats.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(floats, tape.gradient(floats))]

    tape.node(result, backward, tape.save(result) if floats.grad else ())
    tape.drop(floats, owner)
    narrow = letting_go(tape, result, cast(tape, result, dtype or result.dtype, SCORES))
    return letting_go(tape, narrow, drop_out(tape, narrow, SCORES))
