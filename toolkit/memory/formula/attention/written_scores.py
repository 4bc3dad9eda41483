"""Attention whose code materializes its scores whatever kernel is asked for, most of it in float32.

Sources, all of transformers 5.23: modeling_gptj.py (GPTJAttention), modeling_codegen.py (CodeGenAttention),
modeling_gpt_neo.py (GPTNeoSelfAttention), modeling_mpt.py (MptAttention).
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES
from toolkit.memory.formula.attention.pair_rotary import PairsForm, turned_pairs
from toolkit.memory.formula.caches.cached import LAID_OUT, READS, cached
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import (
    Given,
    cast,
    contract,
    drop_out,
    headed,
    letting_go,
    narrowed,
    resized,
    scale,
    shifted,
    split,
    transposed,
    wider,
)
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

SCALE, MASK, FILL, BIAS = "scale", "mask", "fill", "float32 bias"
"""Steps on scores: times a number, plus the mask, some of them replaced by a mask, plus a float32 bias."""


@frozen
class WrittenForm:
    """An attention of `heads` heads over the hidden width.

    `steps` are applied to the scores before the softmax. With `floats` queries and keys are float32 in their product;
    with `gathers` they are copies of parts of one linear's result.
    """

    hidden: int
    heads: int
    projections: LinearForm | tuple[LinearForm, ...]
    output: LinearForm
    steps: tuple[str, ...]
    floats: bool = True
    gathers: bool = False
    pairs: PairsForm | None = None
    autocast: str | None = None
    mask: str = "bf16"  # the dtype of the mask, which is that of the embeddings
    score_dropout: bool = False
    holds_scores: bool = False  # the code refers to the scores as well as to the probabilities (MPT)


def attend_written(tape: Tape, x: Buffer, form: WrittenForm) -> tuple[Buffer, Buffer]:
    """Attention's result, and the probabilities, to which the layer's code refers; the caller keeps `x`."""
    query, key, value, whole = _projected(tape, x, form)
    held: tuple[Buffer, ...] = ()
    if form.pairs is not None:
        query, key, held = turned_pairs(tape, query, key, form.pairs)
    if tape.cache and not tape.records:
        key = letting_go(tape, key, cast(tape, key, value.dtype, STATES))
    key, value = cached(tape, key, value)
    mixed, probabilities = _mixed(tape, query, key, value, form)
    context = letting_go(tape, mixed, headed(tape, mixed))
    result = letting_go(tape, context, linear(tape, context, form.output, OUTPUT))
    tape.drop(query, key, value, *whole, *held)
    return result, probabilities


def _projected(tape: Tape, x: Buffer, form: WrittenForm) -> tuple[Buffer, Buffer, Buffer, tuple[Buffer, ...]]:
    """Queries, keys and values, and the tensor of all three where the code refers to it."""
    if not isinstance(form.projections, LinearForm):
        query, key, value = (linear(tape, x, projection, STATES) for projection in form.projections)
        return query, key, value, ()
    whole = linear(tape, x, form.projections, STATES)
    parts = split(tape, whole, (form.hidden,) * 3)
    query, key, value = (transposed(tape, part) for part in parts) if form.gathers else parts
    return query, key, value, (whole,)


def _mixed(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: WrittenForm) -> tuple[Buffer, Buffer]:
    """The probabilities, and their product with the values, which keeps its heads first."""
    reads, laid_out = tape.cache == READS, tape.cache in LAID_OUT
    wide_query, wide_key = query, key
    if form.floats:
        wide_query, wide_key = cast(tape, query, "fp32", SCORES), _all_keys(tape, key, reads=reads)
    dtype = form.autocast or wide_query.dtype
    left, *first = _for_product(tape, wide_query, dtype, laid_out=False)
    right, *second = _for_product(tape, wide_key, dtype, laid_out=laid_out)
    scores = contract(tape, left, right, SCORES, 0, Size(pair=form.heads * BYTES[dtype]))
    tape.drop(*first, *second)
    for step in form.steps:
        scores = letting_go(tape, scores, STEPS[step](tape, scores, form))
    probabilities = _softmax(tape, scores, value.dtype, form)
    inner = form.autocast or value.dtype
    weights = cast(tape, probabilities, inner, SCORES)
    values, *third = _for_product(tape, value, inner, laid_out=laid_out)
    mixed = contract(tape, weights, values, OUTPUT, form.hidden, Size(token=form.hidden * BYTES[inner]))
    passing = ((scores, None), (weights, probabilities), (wide_query, query), (wide_key, key))
    tape.drop(*third, *(part for part, other in passing if part is not other))
    return mixed, probabilities


def _all_keys(tape: Tape, key: Buffer, *, reads: bool) -> Buffer:
    """Keys in float32; in decoding those of all tokens in the cache."""
    if not reads or key.dtype == "fp32":
        return cast(tape, key, "fp32", SCORES)
    return tape.new(SCORES, key.width, "fp32", size=Size(pair=key.width * BYTES["fp32"]))


def _for_product(tape: Tape, x: Buffer, dtype: str, *, laid_out: bool) -> tuple[Buffer, ...]:
    """In the compute dtype, with its heads first, as torch.matmul folds them into its batch; and the new tensors.

    Autocast's copies live until the product returns.
    """
    inner = cast(tape, x, dtype, x.row)
    new = (inner,) if inner is not x else ()
    if laid_out:
        return inner, *new
    copy = transposed(tape, inner)
    return copy, copy, *new


def _scaled(tape: Tape, scores: Buffer, form: WrittenForm) -> Buffer:  # noqa: ARG001 - one signature for all
    return scale(tape, scores, SCORES, constants=0)


def _filled(tape: Tape, scores: Buffer, form: WrittenForm) -> Buffer:  # noqa: ARG001 - one signature for all
    return scale(tape, scores, SCORES)


def _masked(tape: Tape, scores: Buffer, form: WrittenForm) -> Buffer:
    return shifted(tape, scores, SCORES, wider(scores.dtype, form.mask))


def _biased(tape: Tape, scores: Buffer, form: WrittenForm) -> Buffer:  # noqa: ARG001 - one signature for all
    return shifted(tape, scores, SCORES, "fp32")


STEPS = {SCALE: _scaled, MASK: _masked, FILL: _filled, BIAS: _biased}


def _softmax(tape: Tape, scores: Buffer, dtype: str, form: WrittenForm) -> Buffer:
    """The softmax in float32, which is saved, a cast to the dtype of values, and dropout."""
    wide = cast(tape, scores, "fp32", SCORES)
    result = tape.new(SCORES, 0, "fp32", grad=wide.grad, size=resized(wide, "fp32"))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, narrowed(tape, wide, tape.gradient(wide)))]

    tape.node(result, backward, tape.save(result) if wide.grad else ())
    if wide is not scores:
        tape.drop(wide)
    if not form.holds_scores:
        tape.drop(scores)
    narrow = letting_go(tape, result, cast(tape, result, dtype, SCORES))
    return letting_go(tape, narrow, drop_out(tape, narrow, SCORES)) if form.score_dropout else narrow
