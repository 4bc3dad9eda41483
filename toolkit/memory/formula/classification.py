"""Heads that classify a sequence: of encoders on its first token, of decoders on its last; and no head at all."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.linear import linear
from toolkit.memory.formula.linear_form import LinearForm
from toolkit.memory.formula.logits import LOGITS, cross_entropy
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, cast, drop_out, letting_go
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape import Tape

POOLED = "pooled_states"


@frozen
class PooledForm:
    """The first token of each sequence through `dense`, an activation, and `out`, where the head has them.

    `drops_first` and `drops_last` say that dropout comes before `dense` and before `out`.
    """

    dense: LinearForm | None = None
    out: LinearForm | None = None
    activation: str = "tanh"
    drops_first: bool = False
    drops_last: bool = False
    loss: str = "cross-entropy"


@frozen
class ScoreForm:
    """The final norm of a decoder, and the scores of every token, of which one for each sequence counts."""

    norm: NormForm
    projection: LinearForm
    loss: str = "cross-entropy"


@frozen
class BodyForm:
    """The end of a decoder without a head: its final norm, unless it has none that is known of (OPT)."""

    norm: NormForm | None
    loss: str = "cross-entropy"


def pooled_logits(tape: Tape, x: Buffer, form: PooledForm) -> Buffer:
    """The logits of every sequence, or what the model without a head hands out; the caller keeps `x`."""
    if form.dense is None:
        return x
    first = _first_token(tape, x)
    if form.drops_first:
        first = letting_go(tape, first, drop_out(tape, first, POOLED))
    dense = letting_go(tape, first, linear(tape, first, form.dense, POOLED))
    pooled = letting_go(tape, dense, activated(tape, dense, form.activation, POOLED))
    if form.drops_last:
        pooled = letting_go(tape, pooled, drop_out(tape, pooled, POOLED))
    return pooled if form.out is None else letting_go(tape, pooled, linear(tape, pooled, form.out, LOGITS))


def _first_token(tape: Tape, x: Buffer) -> Buffer:
    """`x[:, 0]`: a view; backward puts its gradient into zeros of the size of x."""
    size = Size(sequence=x.width * BYTES[x.dtype])
    view = Buffer(POOLED, size, x.width, x.dtype, x.grad, held=False, counted=False, base=x)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(view, backward)


def pooled_loss(tape: Tape, x: Buffer, form: PooledForm) -> Buffer:
    """The loss on the logits of every sequence; the model's result holds `x` until its forward returns."""
    logits = pooled_logits(tape, x, form)
    result = cross_entropy(tape, cast(tape, logits, "fp32", LOGITS))
    tape.drop(logits, x)
    return result


def scores(tape: Tape, x: Buffer, form: ScoreForm) -> Buffer:
    """The logits of every token: the names of the model's code hold the normed hidden states."""
    normed = letting_go(tape, x, normalise(tape, x, form.norm))
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
    """The logits of one token of each sequence alone."""
    logits = scores(tape, x, form)
    return letting_go(tape, logits, _chosen(tape, logits))


def _chosen(tape: Tape, logits: Buffer) -> Buffer:
    """The logits of one token of each sequence, picked by an index."""
    size = Size(sequence=logits.width * BYTES[logits.dtype])
    chosen = tape.new(LOGITS, logits.width, logits.dtype, grad=True, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(logits, tape.gradient(logits))]

    return tape.node(chosen, backward)
