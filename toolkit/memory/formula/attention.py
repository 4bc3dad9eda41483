"""Self-attention from its projections to its output: heads, rotary embedding, and the kernel that attends.

Widths: Q = query heads x head width, K = key-value heads x head width, V = query heads x value width.
"""

from __future__ import annotations

from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention_kernels import KERNELS
from toolkit.memory.formula.cached import cached
from toolkit.memory.formula.linear import linear
from toolkit.memory.formula.linear_form import LinearForm
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import Given, add, cast, letting_go, scale, split
from toolkit.memory.size import Size
from toolkit.memory.tape import Tape

ROTARY = "rotary_states"


def attend(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """Projections, rotary embedding, kernel, output projection; the caller keeps `x`."""
    query, key, value, whole = _projected(tape, x, form)
    if form.query_norm is not None:
        query = letting_go(tape, query, normalise(tape, query, form.query_norm))
        key = letting_go(tape, key, normalise(tape, key, form.key_norm or form.query_norm))
    query, key, held = _turned(tape, query, key, form)
    key, value = cached(tape, key, value)
    attended = KERNELS[form.kernel](tape, query, key, value, form)
    result = linear(tape, attended, form.output, OUTPUT)
    tape.drop(attended, *tape.named, query, key, value, *whole, *held)
    tape.named.clear()
    return result


def _projected(tape: Tape, x: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer, Buffer, tuple[Buffer, ...]]:
    """Queries, keys and values, and the tensor of all three where they are views of one."""
    if isinstance(form.projections, LinearForm):
        whole = linear(tape, x, form.projections, STATES)
        keys = form.key_value_heads * form.head_dim
        query, key, value = split(tape, whole, (form.repeated, keys, form.key_value_heads * form.value_head_dim))
        return query, key, value, (whole,)
    query, key, value = (linear(tape, x, projection, STATES) for projection in form.projections)
    if form.scaled_query:
        query = letting_go(tape, query, scale(tape, query, STATES))
    return query, key, value, ()


def _turned(tape: Tape, query: Buffer, key: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer, tuple[Buffer, ...]]:
    """Queries and keys with their positions, and what keeps its name until attention is done."""
    if form.rotary == "none":
        return query, key, ()
    turn = TURNS[form.rotary]
    turned, turned_key = turn(tape, query, form), turn(tape, key, form)
    if form.turned is None:
        tape.drop(query, key)
        return turned, turned_key, ()
    heads = (form.query_heads, form.key_value_heads)
    parts = tuple(tape.new(ROTARY, count * form.turned, turned.dtype) for count in heads)
    return turned, turned_key, (query, key, *parts)


def rejoin(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """cat((turned part, rest)): one new tensor; those of the part that is turned are smaller and passing."""
    dtype = "fp32" if form.wide_rotary else x.dtype
    result = tape.new(STATES, x.width, dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def rotate(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """X * cos + rotate_half(x) * sin, as written out in transformers; angles need no gradient, so x is not kept."""
    dtype = "fp32" if form.wide_rotary else x.dtype
    direct = scale(tape, x, ROTARY, dtype=dtype)
    half = _half_turned(tape, x)
    turned = scale(tape, half, ROTARY, dtype=dtype)
    tape.drop(half)
    result = add(tape, direct, turned, STATES)
    tape.drop(direct, turned)
    return result


def _half_turned(tape: Tape, x: Buffer) -> Buffer:
    """cat((-second half, first half)): backward fills two tensors of x's size from the halves and adds them."""
    half = Size(*[part // 2 for part in x.size])
    with tape.temporary(ROTARY, half):
        result = tape.new(ROTARY, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary("activation_gradients", half):
            second = tape.gradient(x)
        return [(x, second), (x, tape.gradient(x))]

    return tape.node(result, backward)


def rotate_wide(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """A float32 copy that is turned, put together anew, and cast back (modeling_qwen.py, apply_rotary_pos_emb)."""
    wide = cast(tape, x, "fp32", ROTARY)
    total = rotate(tape, wide, form)
    joined = rejoin(tape, total, form)
    tape.drop(total)
    if wide is not x:
        tape.drop(wide)
    return letting_go(tape, joined, cast(tape, joined, x.dtype, STATES))


TURNS = {"whole": rotate, "joined": rejoin, "wide": rotate_wide}
"""How positions are turned into queries and keys, by the layout's word."""
