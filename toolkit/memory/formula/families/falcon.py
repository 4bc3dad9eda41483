"""A layer of Falcon: parallel attention and feed-forward, with keys and values taken from one projection.

Source: transformers 5.23 modeling_falcon.py, FalconAttention._split_heads, FalconDecoderLayer.forward.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention import rotate
from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import KERNELS
from toolkit.memory.formula.caches.cached import cached
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, add, add_in_place, drop_out, part_of
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

RESIDUAL = "residual_stream"


@frozen
class FalconForm:
    """A layer of Falcon. `fused` gives queries, keys and values of `groups` heads.

    `spread` says that keys and values are copied for every query head (new_decoder_architecture); `two_norms` that the
    feed-forward has a norm of its own.
    """

    hidden: int
    attention: AttentionForm
    fused: LinearForm
    groups: int
    spread: bool
    feed_forward: FeedForwardForm
    norm: NormForm
    two_norms: bool
    dropout: bool = False


def falcon_layer(tape: Tape, x: Buffer, form: FalconForm) -> Buffer:
    """X + (attention(norm(x)) + feed_forward(norm(x))), the inner sum in place, then dropout; the caller keeps `x`."""
    normed = normalise(tape, x, form.norm)
    other = normalise(tape, x, form.norm) if form.two_norms else normed
    attended = _attend(tape, normed, form)
    fed = feed_forward(tape, other, form.feed_forward)
    summed = add_in_place(tape, fed, attended)
    dropped = drop_out(tape, summed, RESIDUAL) if form.dropout else summed
    result = add(tape, x, dropped, RESIDUAL)
    tape.drop(normed, other, attended, fed, dropped)
    return result


def _attend(tape: Tape, x: Buffer, form: FalconForm) -> Buffer:
    """Projection, heads, rotary embedding, kernel, output projection."""
    attention = form.attention
    whole = linear(tape, x, form.fused, STATES)
    query, key, value = _heads(tape, whole, form)
    turned, turned_key = (rotate(tape, part, attention) for part in (query, key))
    tape.drop(query, key)
    key, value = cached(tape, turned_key, value)
    attended = KERNELS[attention.kernel](tape, turned, key, value, attention)
    result = linear(tape, attended, attention.output, OUTPUT)
    tape.drop(*tape.named, whole, turned, key, value, attended)
    tape.named.clear()
    return result


def _heads(tape: Tape, whole: Buffer, form: FalconForm) -> tuple[Buffer, Buffer, Buffer]:
    """Queries as a view; keys and values gathered by an index, which copies them."""
    head, queries = form.attention.head_dim, form.attention.query_heads * form.attention.head_dim
    query = part_of(tape, whole, queries, copies=False)
    key, value = (part_of(tape, whole, form.groups * head, copies=True) for _ in range(2))
    if not form.spread:
        return query, key, value
    wide = tuple(_copied(tape, part, queries) for part in (query, key, value))
    tape.drop(key, value)
    return wide[0], wide[1], wide[2]


def _copied(tape: Tape, x: Buffer, width: int) -> Buffer:
    """A contiguous copy; where it is wider than its source, backward sums its gradient, otherwise passes it on."""
    result = tape.new(STATES, width, x.dtype, grad=x.grad, size=Size(token=width * BYTES[x.dtype]))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x) if width == x.width else tape.gradient(x))]

    return tape.node(result, backward)
