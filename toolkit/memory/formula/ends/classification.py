"""Classification heads, on the first token in encoders and on the last in decoders; and models without a head."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.ends.logits import LOGITS, cross_entropy
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, add, cast, drop_out, letting_go, part_of, scale
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

POOLED = "pooled_states"
SPAN = 2
"""Scores per token of an answer: for its start and for its end."""
FIRST, MEAN, EACH = "first", "mean", "each"
"""What a classifier reads of a sequence: its first token, the mean of all tokens, or each token."""


@frozen
class PooledForm:
    """A head of `dense`, an activation and `out`, as far as the model has them, on the tokens that it `reads`.

    `drops_first` and `drops_last` are dropout before `dense` and before `out`. Where it `answers`, each token's result
    is split into scores for the start and the end of an answer, which both have a loss over the sequence. `before` is a
    norm of all tokens, `after` one of the activation's result (ModernBERT). `pools`: `dense` is of the model itself.
    """

    dense: LinearForm | None = None
    out: LinearForm | None = None
    activation: str = "tanh"
    drops_first: bool = False
    drops_last: bool = False
    loss: str = "cross-entropy"
    reads: str = FIRST
    before: NormForm | None = None
    after: NormForm | None = None
    answers: bool = False
    pools: bool = False


@frozen
class ScoreForm:
    """The final norm of a decoder, and the scores of every token; those of one token per sequence count."""

    norm: NormForm
    projection: LinearForm
    loss: str = "cross-entropy"


@frozen
class BodyForm:
    """The end of a decoder without a head: its final norm, if one is known (OPT has none)."""

    norm: NormForm | None
    loss: str = "cross-entropy"


def pooled_logits(tape: Tape, x: Buffer, form: PooledForm) -> Buffer:
    """The logits of every sequence, or the result of a model without a head; the caller keeps `x`."""
    if form.dense is None and form.out is None:
        return x
    pooled = READ[form.reads](tape, x)
    if form.dense is not None:
        if form.drops_first:
            pooled = _other_than(tape, x, pooled, drop_out(tape, pooled, POOLED))
        dense = _other_than(tape, x, pooled, linear(tape, pooled, form.dense, POOLED))
        pooled = letting_go(tape, dense, activated(tape, dense, form.activation, POOLED))
    if form.pools:
        tape.model_returns()
    if form.after is not None:
        pooled = letting_go(tape, pooled, normalise(tape, pooled, form.after))
    if form.drops_last:
        pooled = _other_than(tape, x, pooled, drop_out(tape, pooled, POOLED))
    return pooled if form.out is None else _other_than(tape, x, pooled, linear(tape, pooled, form.out, LOGITS))


def _other_than(tape: Tape, x: Buffer, original: Buffer, replacement: Buffer) -> Buffer:
    """Replaces a tensor by another one, and drops it unless the caller keeps it."""
    return replacement if original is x else letting_go(tape, original, replacement)


def _first_token(tape: Tape, x: Buffer) -> Buffer:
    """`x[:, 0]`: a view; backward puts its gradient into zeros of the size of x."""
    size = Size(sequence=x.width * BYTES[x.dtype])
    view = Buffer(POOLED, size, x.width, x.dtype, x.grad, held=False, counted=False, base=x)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(view, backward)


def _mean_token(tape: Tape, x: Buffer) -> Buffer:
    """`(x * mask).sum(1) / tokens`: a product over all tokens, then one vector per sequence."""
    product = scale(tape, x, POOLED)
    size = Size(sequence=x.width * BYTES[x.dtype])
    total = tape.new(POOLED, x.width, x.dtype, grad=x.grad, size=size)

    def backward(_: Tape, __: Buffer) -> Given:
        given = Buffer(
            INCOMING, Size(), product.width, product.dtype, grad=False, counted=False
        )  # one row seen as many
        return [(product, given)]

    tape.node(total, backward)
    tape.drop(product)
    return letting_go(tape, total, scale(tape, total, POOLED))


def _each_token(_: Tape, x: Buffer) -> Buffer:
    return x


READ = {FIRST: _first_token, MEAN: _mean_token, EACH: _each_token}


def pooled_loss(tape: Tape, x: Buffer, form: PooledForm) -> Buffer:
    """The loss on the logits of every sequence; the model's result holds `x` until its forward returns."""
    if form.before is not None:
        x = letting_go(tape, x, normalise(tape, x, form.before))
    logits = pooled_logits(tape, x, form)
    if form.answers:
        return _span_loss(tape, x, logits, form)
    result = cross_entropy(tape, cast(tape, logits, "fp32", LOGITS))
    tape.drop(logits, x)
    return result


def _span_loss(tape: Tape, x: Buffer, logits: Buffer, form: PooledForm) -> Buffer:
    """Cross-entropy of both columns, each copied; autocast computes it in float32 (modeling_bert.py)."""
    columns = [part_of(tape, logits, 1, copies=True) for _ in range(SPAN)]
    tape.drop(logits)
    wide = form.out is not None and form.out.autocast is not None
    losses = [cross_entropy(tape, cast(tape, one, "fp32", LOGITS) if wide else one) for one in columns]
    total = add(tape, losses[0], losses[1], LOGITS)
    tape.drop(*losses, *columns, x)
    return total


def scores(tape: Tape, x: Buffer, form: ScoreForm) -> Buffer:
    """The logits of every token; the model's code still refers to the normalized hidden states."""
    normed = letting_go(tape, x, normalise(tape, x, form.norm))
    tape.model_returns()
    return linear(tape, normed, form.projection, LOGITS)


def score_loss(tape: Tape, x: Buffer, form: ScoreForm) -> Buffer:
    """The loss on the logits of one token of each sequence, which the code holds with those of all."""
    logits = scores(tape, x, form)
    chosen = _chosen(tape, logits)
    wide = cast(tape, chosen, "fp32", LOGITS)
    result = cross_entropy(tape, wide)
    tape.drop(wide, chosen, logits)
    return result


def chosen_scores(tape: Tape, x: Buffer, form: ScoreForm) -> Buffer:
    """The logits of only one token of each sequence."""
    logits = scores(tape, x, form)
    return letting_go(tape, logits, _chosen(tape, logits))


def _chosen(tape: Tape, logits: Buffer) -> Buffer:
    """The logits of one token of each sequence, gathered by an index."""
    size = Size(sequence=logits.width * BYTES[logits.dtype])
    chosen = tape.new(LOGITS, logits.width, logits.dtype, grad=True, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(logits, tape.gradient(logits))]

    return tape.node(chosen, backward)
