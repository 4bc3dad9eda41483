"""A layer of BART and its relatives: self-attention, in a decoder also cross-attention, and a feed-forward.

Source: transformers 5.23 modeling_bart.py, modeling_mbart.py, modeling_marian.py, modeling_m2m_100.py,
modeling_pegasus.py and modeling_whisper.py.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES
from toolkit.memory.formula.caches.cached import READS, cached
from toolkit.memory.formula.families.bart_kernels import EAGER, BartKernel, eagerly, fused_or_masked
from toolkit.memory.formula.feed_forward import ROW as FEED
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, add, drop_out, letting_go, scale, transposed
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

RESIDUAL = "residual_stream"


@frozen
class BartAttentionForm:
    """An attention with its linears; with `shapes` queries are scaled, and q, k and v are copied with heads first."""

    query: LinearForm
    key: LinearForm
    value: LinearForm
    output: LinearForm
    kernel: BartKernel
    shapes: bool = False


@frozen
class BartForm:
    """A layer of an encoder, or with `cross` one of a decoder; with `before` norms come first (mBART).

    With `begins` a decoder's prompt is one token of each sequence. The encoder reads `frames`, or if that is 0 as many
    tokens as the decoder; `length` is that of the layer's own sequences, where these are frames. `inner` is dropout on
    the activation's result; with `clamps` a float16 result is clamped.
    """

    hidden: int
    attention: BartAttentionForm
    cross: BartAttentionForm | None
    feed_forward: FeedForwardForm
    norm: NormForm
    dropout: bool
    inner: bool
    before: bool
    stream: str
    begins: bool = False
    frames: int = 0
    length: int = 0
    clamps: bool = False


def bart_layer(tape: Tape, x: Buffer, form: BartForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    if form.begins and tape.cache and tape.cache != READS:
        token = tape.new(RESIDUAL, x.width, x.dtype, size=Size(sequence=x.width * BYTES[x.dtype]))
        x = letting_go(tape, x, token)
    stream = _attended(tape, x, None, form, form.attention)
    if form.cross is not None:
        source = encoded(form, grad=tape.records)
        stream = letting_go(tape, stream, _attended(tape, stream, source, form, form.cross))
    result = letting_go(tape, stream, _fed(tape, stream, form))
    tape.drop(*tape.named)
    tape.named.clear()
    return letting_go(tape, result, _clamped(tape, result)) if form.clamps and result.dtype == "fp16" else result


def encoded(form: BartForm, *, grad: bool) -> Buffer:
    """The encoder's result, which belongs to the model: a decoder layer does not keep it alive."""
    each = form.hidden * BYTES[form.stream]
    size = Size(sequence=form.frames * each) if form.frames else Size(token=each)
    return Buffer(RESIDUAL, size, form.hidden, form.stream, grad, held=False, counted=False)


def _attended(tape: Tape, x: Buffer, source: Buffer | None, form: BartForm, attention: BartAttentionForm) -> Buffer:
    """X + dropout(attention(x)), normalized before or after. The code holds the probabilities until the next ones."""
    given = normalise(tape, x, form.norm) if form.before else x
    earlier, tape.named = tape.named, []
    out = _attend(tape, given, source or given, attention, reads=source is not None and tape.cache == READS)
    tape.drop(*earlier, *((given,) if given is not x else ()))
    return _onto(tape, x, out, form)


def _onto(tape: Tape, x: Buffer, branch: Buffer, form: BartForm) -> Buffer:
    if form.dropout:
        branch = letting_go(tape, branch, drop_out(tape, branch, RESIDUAL))
    total = add(tape, x, branch, RESIDUAL)
    tape.drop(branch)
    return total if form.before else letting_go(tape, total, normalise(tape, total, form.norm))


def _attend(tape: Tape, x: Buffer, source: Buffer, form: BartAttentionForm, *, reads: bool) -> Buffer:
    query = linear(tape, x, form.query, STATES)
    if form.shapes:
        query = letting_go(tape, query, scale(tape, query, STATES, constants=0))
        query = _shaped(tape, query)
    states: tuple[Buffer, ...] = ()
    if not reads:
        parts = [linear(tape, source, part, STATES) for part in (form.key, form.value)]
        states = cached(tape, *(_shaped(tape, part) if form.shapes else part for part in parts))
    kernel = eagerly if form.kernel.name == EAGER else fused_or_masked
    mixed = kernel(tape, query, states, form.kernel, shaped=form.shapes)
    result = linear(tape, mixed, form.output, OUTPUT)
    tape.drop(mixed, query, *states)
    return result


def _shaped(tape: Tape, x: Buffer) -> Buffer:
    """A contiguous copy with heads before positions; for one token it is the tensor itself."""
    return x if tape.cache == READS else letting_go(tape, x, transposed(tape, x))


def _fed(tape: Tape, x: Buffer, form: BartForm) -> Buffer:
    """X + dropout(down(dropout(act(up(x))))), normed before or after."""
    part = form.feed_forward
    given = normalise(tape, x, form.norm) if form.before else x
    up = linear(tape, given, part.up, FEED)
    active = letting_go(tape, up, activated(tape, up, part.activation, FEED, autocast=part.up.autocast is not None))
    if given is not x:
        tape.drop(given)
    if form.inner:
        active = letting_go(tape, active, drop_out(tape, active, FEED))
    down = letting_go(tape, active, linear(tape, active, part.down, FEED))
    return _onto(tape, x, down, form)


def _clamped(tape: Tape, x: Buffer) -> Buffer:
    """torch.clamp(x, -c, c), which saves x; backward makes a mask of the elements within bounds."""
    result = tape.new(RESIDUAL, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        within = Size(*[part // BYTES[x.dtype] for part in x.size])
        with tape.temporary("activation_gradients", within.times(2)):
            return [(x, tape.gradient(x))]

    return tape.node(result, backward, tape.save(x) if x.grad else ())
