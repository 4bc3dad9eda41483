"""A layer and the end of T5: attention whose scores get a bias for each pair of positions, and to an encoder's result.

Source: transformers 5.23 modeling_t5.py, T5Attention, T5Block, T5LayerNorm; torch's memory-efficient kernel takes the
bias. S = sequence, B = batch; a bias is of heads x S x S, the same for all sequences.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.attention_form import KERNEL, OUTPUT, SCORES, STATES
from toolkit.memory.formula.cached import READS, cached
from toolkit.memory.formula.feed_forward import ROW as FEED
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.linear import linear
from toolkit.memory.formula.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, add, cast, drop_out, letting_go, multiply, widened
from toolkit.memory.formula.t5_eager import OWN, written_out
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape import Tape

MASK = "attention_mask"
RESIDUAL = "residual_stream"
SDPA = "sdpa"


@frozen
class T5AttentionForm:
    """An attention of `heads` heads. `bias` is zeros (to an encoder's result), or plain, or masked as causal.

    `trains_bias` says that a gradient flows to the bias, `makes_bias` that the layer works it out, for all of its
    stack, and `holds_bias` that what the stack's code holds of it counts here. With `padded` rows what has no causal
    mask has one of tokens, which makes a bias for each sequence.
    """

    heads: int
    query: LinearForm
    key: LinearForm
    value: LinearForm
    output: LinearForm
    bias: str
    trains_bias: bool = False
    makes_bias: bool = False
    holds_bias: bool = False
    kernel: str = SDPA
    autocast: str | None = None
    padded: bool = False
    each_bias: bool = False  # every layer works out its own, for itself (umT5)


@frozen
class T5Form:
    """A layer of the encoder, or with `cross` one of the decoder."""

    hidden: int
    attention: T5AttentionForm
    cross: T5AttentionForm | None
    feed_forward: FeedForwardForm
    norm: NormForm
    dropout: bool
    stream: str


def t5_layer(tape: Tape, x: Buffer, form: T5Form) -> Buffer:
    """The layer's result; the caller keeps `x`. While a cache is filled, a decoder has a token of each sequence."""
    if form.cross is not None and tape.cache and tape.cache != READS:
        token = tape.new(RESIDUAL, x.width, x.dtype, size=Size(sequence=x.width * BYTES[x.dtype]))
        x = letting_go(tape, x, token)
    stream = _attended(tape, x, None, form, form.attention)
    if form.cross is not None:
        before, tape.named = tape.named, []
        source = encoded(form.hidden, form.stream, grad=tape.records)
        stream = letting_go(tape, stream, _attended(tape, stream, source, form, form.cross))
        tape.drop(*before)
    result = letting_go(tape, stream, _fed(tape, stream, form))
    tape.drop(*tape.bound, *tape.named)
    tape.bound.clear()
    tape.named.clear()
    return result


def encoded(hidden: int, dtype: str, *, grad: bool) -> Buffer:
    """The encoder's result, which is the model's: a layer of the decoder keeps nothing of it for itself."""
    size = Size(token=hidden * BYTES[dtype])
    return Buffer(RESIDUAL, size, hidden, dtype, grad, held=False, counted=False)


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
    """Attention of x to a source; what is read from a cache is not made again."""
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
    """The memory-efficient kernel with a bias: saves all that it is given, its result and a float32 log-sum-exp."""
    query = states[0]
    _make_bias(tape, form, query)
    if form.kernel != SDPA:
        return written_out(tape, states, _external(form, query), form.heads, autocast=form.autocast, kernel=form.kernel)
    dtype = form.autocast or query.dtype
    inner = tuple(cast(tape, part, dtype, STATES) for part in states)
    bias = _bias(tape, form, query, dtype)
    result = tape.new(OUTPUT, query.width, dtype, grad=query.grad, size=widened(query, query.width, dtype))
    sums = tape.new(OUTPUT, form.heads, "fp32", size=widened(query, form.heads, "fp32"))
    kept = (bias,) if bias is not None else ()
    saved = tape.save(*inner, *kept, result, sums) if query.grad else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(KERNEL, widened(query, form.heads, "fp32")):
            given = [(part, tape.gradient(part)) for part in inner]
            if bias is None or not form.trains_bias:
                return given
            if form.padded and form.bias != "masked":
                return [*given, (bias, tape.gradient(bias))]
            with tape.temporary(KERNEL, Size(pair=form.heads * BYTES[dtype])):
                return [*given, (bias, tape.gradient(bias))]

    tape.node(result, backward, saved)
    tape.drop(sums, *kept, *(part for part, own in zip(inner, states, strict=True) if part is not own))
    return result


BUCKETS = 49
"""Bytes for each pair of positions while the rows of their biases are looked for: six 64-bit integers and a boolean."""
NAMED_RATIO = BYTES["fp32"]
"""What umT5's code has a name for beside them: the logarithm of the distance."""


def _make_bias(tape: Tape, form: T5AttentionForm, query: Buffer) -> None:
    """The bias as it is made and held; while tokens are decoded it has one row, which is left out."""
    if form.makes_bias and not tape.cache:
        with tape.temporary(SCORES, Size(square=BUCKETS + (NAMED_RATIO if form.each_bias else 0))):
            pass
    if form.holds_bias:
        tape.bound.append(tape.new(SCORES, 0, query.dtype, size=bias_size(form.heads, query.dtype)))
        if form.padded:
            made = "bool" if form.kernel == SDPA else query.dtype
            tape.bound.append(tape.new(MASK, 0, made, size=Size(pair=BYTES[made])))


def _bias(tape: Tape, form: T5AttentionForm, query: Buffer, dtype: str) -> Buffer | None:
    """A contiguous copy of the bias in the kernel's dtype, after a causal mask where there is one.

    While tokens are decoded it has one row, which is left out.
    """
    if tape.cache or (form.bias == "zeros" and query.dtype == dtype and not form.padded):
        return None
    bias = _external(form, query)
    if form.padded and form.bias != "masked":
        return _laid_out(tape, _with_mask(tape, bias, form), dtype)
    if form.bias != "masked":
        return _copied(tape, bias, dtype)
    if form.trains_bias:
        tape.save(tape.new(SCORES, 0, "bool", size=Size(square=BYTES["bool"])))
    return _laid_out(tape, _copied(tape, bias, bias.dtype), dtype)


def _laid_out(tape: Tape, joined: Buffer, dtype: str) -> Buffer:
    """A bias with its mask as the kernel takes it: a contiguous copy, then in its dtype."""
    copy = letting_go(tape, joined, _copied(tape, joined, joined.dtype))
    return letting_go(tape, copy, cast(tape, copy, dtype, SCORES))


def _with_mask(tape: Tape, bias: Buffer, form: T5AttentionForm) -> Buffer:
    """The bias where a mask of tokens has ones: one for each sequence (sdpa_attention.py, create_position_bias_mask).

    Its gradient is as large before it is summed over them.
    """
    size = Size(pair=form.heads * BYTES[bias.dtype])
    result = tape.new(SCORES, 0, bias.dtype, grad=bias.grad, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(KERNEL, size):
            return [(bias, tape.gradient(bias))]

    return tape.node(result, backward)


def _external(form: T5AttentionForm, query: Buffer) -> Buffer:
    """The bias that the code of the stack holds. Where it has the mask in it, there is one for each sequence."""
    wide = "fp32" if form.autocast else query.dtype
    own = form.heads * BYTES[wide]
    size = Size(pair=own) if form.kernel == OWN else Size(square=own)
    return Buffer(SCORES, size, 0, wide, form.trains_bias, held=False, counted=False)


def bias_size(heads: int, dtype: str) -> Size:
    """The bytes of a bias."""
    return Size(square=heads * BYTES[dtype])


def _copied(tape: Tape, x: Buffer, dtype: str) -> Buffer:
    size = Size(*[part * BYTES[dtype] // BYTES[x.dtype] for part in x.size])
    result = tape.new(SCORES, 0, dtype, grad=x.grad, size=size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)


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
