"""Rotary embedding of adjacent pairs, each layer with its own angles: GPT-J and CodeGen.

Source: transformers 5.23 modeling_gptj.py and modeling_codegen.py, apply_rotary_pos_emb, rotate_every_two.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import STATES
from toolkit.memory.formula.attention.rotary import ROTARY, half_turned
from toolkit.memory.formula.operations import Given, add, letting_go, resized, wider
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class PairsForm:
    """The heads, and the width of the rotated part of each.

    `angles` is the dtype of sines and cosines. With a `table` each layer first copies those of so many positions, and
    has indices of those that it uses.
    """

    heads: int
    turned: int
    angles: str
    table: int = 0


def turned_pairs(tape: Tape, query: Buffer, key: Buffer, form: PairsForm) -> tuple[Buffer, Buffer, tuple[Buffer, ...]]:
    """Rotated queries and keys, and the tensors that stay named until attention is done."""
    held = _angles(tape, form)
    turned_key = _turned_part(tape, key, form)
    turned_query = _turned_part(tape, query, form)
    joined_key, joined_query = _joined(tape, key, turned_key), _joined(tape, query, turned_query)
    return joined_query, joined_key, (*held, query, key, turned_query, turned_key)


def _angles(tape: Tape, form: PairsForm) -> tuple[Buffer, ...]:
    held: tuple[Buffer, ...] = ()
    if form.table:
        copy = Size(fixed=form.table * form.turned * BYTES["fp32"])
        indices = Size(position=form.turned * BYTES["int64"])
        held = (tape.new(ROTARY, 0, "fp32", size=copy), tape.new(ROTARY, 0, "int64", size=indices))
    both = Size(position=form.turned * BYTES[form.angles])
    return (*held, tape.new(ROTARY, 0, form.angles, size=both))


def _turned_part(tape: Tape, x: Buffer, form: PairsForm) -> Buffer:
    """X * cos + rotate_every_two(x) * sin of a part of each head; both angles are repeated in copies, and saved."""
    width = form.heads * form.turned
    spread = Size(position=form.turned * BYTES[form.angles])
    angles = [tape.new(ROTARY, 0, form.angles, size=spread) for _ in ("sines", "cosines")]
    part = _part(tape, x, width)
    dtype = wider(x.dtype, form.angles)
    direct = _times(tape, part, angles[1], dtype)
    half = half_turned(tape, part)
    turned = letting_go(tape, half, _times(tape, half, angles[0], dtype))
    result = add(tape, direct, turned, ROTARY)
    tape.drop(direct, turned, *angles)
    return result


def _part(tape: Tape, x: Buffer, width: int) -> Buffer:
    """A view of so many elements of each token; its gradient is put into zeros of the size of the whole."""
    size = Size(token=width * BYTES[x.dtype])
    view = Buffer(x.row, size, width, x.dtype, x.grad, held=False, counted=False, base=x.base or x)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(view, backward)


def _times(tape: Tape, x: Buffer, angles: Buffer, dtype: str) -> Buffer:
    saved = tape.save(angles) if x.grad else ()
    result = tape.new(ROTARY, x.width, dtype, grad=x.grad, size=resized(x, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        wide = tape.fresh(result.row, result.size, dtype)
        if dtype == x.dtype:
            return [(x, wide)]
        narrow = tape.gradient(x)
        tape.discard(wide)
        return [(x, narrow)]

    return tape.node(result, backward, saved)


def _joined(tape: Tape, x: Buffer, turned: Buffer) -> Buffer:
    """cat((rotated part, rest)): gradients of both are views; that of the rest is put into zeros of the whole."""
    result = tape.new(STATES, x.width, turned.dtype, grad=x.grad, size=resized(x, turned.dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.gradient(x)), (turned, tape.share(gradient, turned))]

    return tape.node(result, backward)
