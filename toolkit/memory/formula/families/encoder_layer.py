"""One encoder layer: attention and feed-forward, each added to its input and then normalized (BERT and relatives)."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.attention.attention_form import OUTPUT
from toolkit.memory.formula.attention.encoder_attention import EncoderAttentionForm, attend_both_ways
from toolkit.memory.formula.feed_forward import ROW, FeedForwardForm
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add, drop_out, letting_go
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class EncoderLayerForm:
    """An encoder layer; `dropout` is that of what is added to the stream.

    With `compact` (DistilBERT) the output projection is part of attention, so queries, keys and values live until it
    has run, and its result has no dropout. Where layers `share` their weights (ALBERT), attention is a module with its
    norm, until which its names stay bound, and the feed-forward has no dropout. `names_probabilities`: the layer refers
    to the probabilities of eager attention, as since transformers 5, BERT's and its like's since 4.54. With `boxed` the
    output projection is part of attention as well, and its result stays named until it is normalized (MPNet).
    """

    hidden: int
    attention: EncoderAttentionForm
    feed_forward: FeedForwardForm
    norm: NormForm
    dropout: bool = False
    compact: bool = False
    shares: bool = False
    names_probabilities: bool = True
    boxed: bool = False


def encoder_layer(tape: Tape, x: Buffer, form: EncoderLayerForm) -> Buffer:
    """The layer's result; the caller keeps `x`. Names in its code hold attention's result to the end."""
    if form.shares:
        return _shared_layer(tape, x, form)
    if form.boxed:
        return _boxed_layer(tape, x, form)
    context, states, weights = attend_both_ways(tape, x, form.attention)
    if not (form.names_probabilities or form.compact):
        tape.drop(*weights)
    if not form.compact:
        tape.drop(*states)
    projected = linear(tape, context, form.attention.output, OUTPUT)
    if form.compact:
        tape.drop(context, *states, *(() if form.names_probabilities else weights))
    else:
        projected = _dropped_out(tape, projected, form)
    middle = _added(tape, projected, x, form)
    tape.drop(context)
    up = linear(tape, middle, form.feed_forward.up, ROW)
    active = letting_go(tape, up, _activated(tape, up, form.feed_forward))
    down = linear(tape, active, form.feed_forward.down, ROW)
    if form.compact:
        tape.drop(active)
    result = _added(tape, _dropped_out(tape, down, form), middle, form)
    tape.drop(active, middle, *weights)
    return result


def _shared_layer(tape: Tape, x: Buffer, form: EncoderLayerForm) -> Buffer:
    """ALBERT's layer: attention and feed-forward free what they refer to as each returns (modeling_albert.py)."""
    context, states, weights = attend_both_ways(tape, x, form.attention)
    if not form.names_probabilities:
        tape.drop(*weights)
    projected = letting_go(tape, context, linear(tape, context, form.attention.output, OUTPUT))
    middle = _added(tape, _dropped_out(tape, projected, form), x, form)
    tape.drop(*states)
    up = linear(tape, middle, form.feed_forward.up, ROW)
    active = letting_go(tape, up, _activated(tape, up, form.feed_forward))
    down = letting_go(tape, active, linear(tape, active, form.feed_forward.down, ROW))
    result = _added(tape, down, middle, form)
    tape.drop(middle, *weights)
    return result


def _boxed_layer(tape: Tape, x: Buffer, form: EncoderLayerForm) -> Buffer:
    """MPNet's layer: attention frees all that it refers to as it returns (modeling_mpnet.py)."""
    context, states, weights = attend_both_ways(tape, x, form.attention)
    projected = linear(tape, context, form.attention.output, OUTPUT)
    tape.drop(context, *states, *weights)
    dropped = drop_out(tape, projected, RESIDUAL) if form.dropout else projected
    middle = _added(tape, dropped, x, form)
    tape.drop(projected)
    up = linear(tape, middle, form.feed_forward.up, ROW)
    active = letting_go(tape, up, _activated(tape, up, form.feed_forward))
    down = linear(tape, active, form.feed_forward.down, ROW)
    result = _added(tape, _dropped_out(tape, down, form), middle, form)
    tape.drop(active, middle)
    return result


def _activated(tape: Tape, x: Buffer, form: FeedForwardForm) -> Buffer:
    return activated(tape, x, form.activation, ROW, autocast=form.up.autocast is not None)


def _dropped_out(tape: Tape, x: Buffer, form: EncoderLayerForm) -> Buffer:
    return letting_go(tape, x, drop_out(tape, x, RESIDUAL)) if form.dropout else x


def _added(tape: Tape, branch: Buffer, x: Buffer, form: EncoderLayerForm) -> Buffer:
    """norm(branch + x); the branch is held until the norm is there."""
    total = add(tape, branch, x, RESIDUAL)
    result = normalise(tape, total, form.norm)
    tape.drop(total, branch)
    return result
