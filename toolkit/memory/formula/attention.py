"""Self-attention from its projections to its output: heads, rotary embedding, and the kernel that attends.

Widths: Q = query heads x head width, K = key-value heads x head width, V = query heads x value width.
"""

from __future__ import annotations

from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention_kernels import KERNELS
from toolkit.memory.formula.linear import LinearForm, linear
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import Given, add, letting_go, scale, split
from toolkit.memory.size import Size
from toolkit.memory.tape import Tape

ROTARY = "rotary_states"


def attend(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """Projections, rotary embedding, kernel, output projection; the caller keeps `x`."""
    query, key, value, whole = _projected(tape, x, form)
    if form.query_norm is not None:
        query = letting_go(tape, query, normalise(tape, query, form.query_norm))
        key = letting_go(tape, key, normalise(tape, key, form.query_norm))
    if form.rotary != "none":
        turned = (rotate if form.rotary == "whole" else rejoin)(tape, query, form)
        turned_key = (rotate if form.rotary == "whole" else rejoin)(tape, key, form)
        tape.drop(query, key)
        query, key = turned, turned_key
    attended = KERNELS[form.kernel](tape, query, key, value, form)
    result = linear(tape, attended, form.output, OUTPUT)
    tape.drop(attended, query, key, value, *whole)
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
