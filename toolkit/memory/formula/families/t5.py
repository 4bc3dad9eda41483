"""A layer of T5: self-attention with a bias for each pair of positions, and attention to an encoder's result.

Source: transformers 5.23 modeling_t5.py, T5Attention, T5Block, T5LayerNorm; torch's memory-efficient kernel takes the
bias. S = sequence, B = batch; a bias is of heads x S x S, the same for all sequences.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.attention.attention_form import KERNEL, OUTPUT, STATES
from toolkit.memory.formula.attention.fused_kernel import efficient_working, wanted
from toolkit.memory.formula.caches.cached import READS, cached
from toolkit.memory.formula.families.t5_bias import SDPA, T5AttentionForm, bias_of, external, make_bias
from toolkit.memory.formula.families.t5_eager import written_out
from toolkit.memory.formula.feed_forward import ROW as FEED
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, add, cast, drop_out, letting_go, multiply, widened
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

RESIDUAL = "residual_stream"


@frozen
class T5Form:
    """A layer of the encoder, or with `cross` one of the decoder.

    `begins` says that a decoder's prompt is one token of each sequence.
    """

    hidden: int
    attention: T5AttentionForm
    cross: T5AttentionForm | None
    feed_forward: FeedForwardForm
    norm: NormForm
    dropout: bool
    stream: str
    begins: bool = False


def t5_layer(tape: Tape, x: Buffer, form: T5Form) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    if form.begins and tape.cache and tape.cache != READS:
        token = tape.new(RESIDUAL, x.width, x.dtype, size=Size(sequence=x.width * BYTES[x.dtype]))
        x = letting_go(tape, x, token)
    stream = _attended(tape, x, None, form, form.attention)
    if form.cross is not None:
        before, tape.named = tape.named, []
        source = _given_by_encoder(tape, form, form.cross)
        stream = letting_go(tape, stream, _attended(tape, stream, source, form, form.cross))
        tape.drop(*before)
    result = letting_go(tape, stream, _fed(tape, stream, form))
    tape.drop(*tape.bound, *tape.named)
    tape.bound.clear()
    tape.named.clear()
    return result


def encoded(hidden: int, dtype: str, *, grad: bool) -> Buffer:
    """The encoder's result, which belongs to the model: a decoder layer does not keep it alive."""
    size = Size(token=hidden * BYTES[dtype])
    return Buffer(RESIDUAL, size, hidden, dtype, grad, held=False, counted=False)


def _given_by_encoder(tape: Tape, form: T5Form, cross: T5AttentionForm) -> Buffer:
    """The encoder's result, to which every layer of the decoder gives a gradient.

    The gradient in a checkpoint's own pass is a separate tensor from that of later layers.
    """
    source = encoded(form.hidden, form.stream, grad=tape.records)
    if not cross.detaches:
        tape.outside.append((source, cross.pending))
    elif cross.pending:
        tape.beside.append(encoded(form.hidden, form.stream, grad=False))
    return source


def _attended(tape: Tape, x: Buffer, source: Buffer | None, form: T5Form, attention: T5AttentionForm) -> Buffer:
    """X + dropout(attention(norm(x)))."""
    normed = normalise(tape, x, form.norm)
    given = _attend(tape, normed, source or normed, attention, reads=source is not None and tape.cache == READS)
    return _added(tape, x, normed, given, form)


def _added(tape: Tape, x: Buffer, normed: Buffer, branch: Buffer, form: T5Form) -> Buffer:
    dropped = drop_out(tape, branch, RESIDUAL) if form.dropout else branch
    result = add(tape, x, dropped, RESIDUAL)
    tape.drop(normed, branch, dropped)
    return result


def _attend(tape: Tape, x: Buffer, source: Buffer, form: T5AttentionForm, *, reads: bool) -> Buffer:
    """Attention of x to a source; keys and values in a cache are not computed again."""
    query = linear(tape, x, form.query, STATES)
    states: tuple[Buffer, ...] = ()
    if not reads:
        key, value = (linear(tape, source, part, STATES) for part in (form.key, form.value))
        states = cached(tape, key, value)
    bound = len(tape.bound)
    mixed = _kernel(tape, (query, *states), form)
    result = linear(tape, mixed, form.output, OUTPUT)
    tape.drop(mixed, query, *states)
    if form.each_bias:
        tape.drop(*tape.bound[bound:])
        del tape.bound[bound:]
    return result


def _kernel(tape: Tape, states: tuple[Buffer, ...], form: T5AttentionForm) -> Buffer:
    """The memory-efficient kernel with a bias: saves its inputs, its result and a float32 log-sum-exp."""
    query = states[0]
    make_bias(tape, form, query)
    if form.kernel != SDPA:
        own = external(tape, form, query)
        return written_out(tape, states, own, form.heads, autocast=form.autocast, kernel=form.kernel)
    dtype = form.autocast or query.dtype
    inner = tuple(cast(tape, part, dtype, STATES) for part in states)
    bias, target = bias_of(tape, form, query, dtype)
    needs = any(part.grad for part in states)
    result = tape.new(OUTPUT, query.width, dtype, grad=needs, size=widened(query, query.width, dtype))
    sums = tape.new(OUTPUT, form.heads, "fp32", size=widened(query, form.heads, "fp32"))
    kept = (bias,) if bias is not None else ()
    saved = tape.save(*inner, *kept, result, sums) if needs else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        working = efficient_working(form.heads, query.width // form.heads, lone=query.size.sequence > 0)
        if target is None or not form.trains_bias:
            return wanted(tape, inner, working)
        if form.padded and form.bias != "masked":
            return wanted(tape, (*inner, target), working)
        with tape.temporary(KERNEL, Size(pair=form.heads * BYTES[dtype])):
            return [*wanted(tape, inner, working), (target, tape.gradient(target))]

    tape.node(result, backward, saved)
    tape.drop(sums, *kept, *(part for part, own in zip(inner, states, strict=True) if part is not own))
    return result


def _fed(tape: Tape, x: Buffer, form: T5Form) -> Buffer:
    """X + dropout(down(dropout(act(up(norm(x)))))), with a gate where there is one."""
    normed = normalise(tape, x, form.norm)
    part = form.feed_forward
    first = linear(tape, normed, part.gate or part.up, FEED)
    active = letting_go(tape, first, activated(tape, first, part.activation, FEED, autocast=bool(part.up.autocast)))
    named: tuple[Buffer, ...] = ()
    if part.gate is not None:
        named = active, linear(tape, normed, part.up, FEED)
        active = multiply(tape, *named, FEED)
    if form.dropout:
        active = letting_go(tape, active, drop_out(tape, active, FEED))
    active = letting_go(tape, active, cast(tape, active, part.down.dtype, FEED))
    fed = linear(tape, active, part.down, FEED)
    tape.drop(active, *named)
    return _added(tape, x, normed, fed, form)
