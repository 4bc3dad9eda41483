"""Self-attention from its projections to its output: heads, rotary embedding, and the kernel that attends.

Widths: Q = query heads x head width, K = key-value heads x head width, V = query heads x value width.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.formula.adapters.fused_adapters import fused_products, fuses
from toolkit.memory.formula.arrays import RESULT, apply, plus, times
from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import KERNELS
from toolkit.memory.formula.attention.complex_rotary import COMPLEX, turned_by_complex
from toolkit.memory.formula.attention.partial_rotary import JOINED, JOINED_IN_TURN, turned_partly
from toolkit.memory.formula.attention.prefix import prefixed
from toolkit.memory.formula.attention.rotary import ROTARY, TOGETHER, half_turned, turned_together
from toolkit.memory.formula.caches.cached import LAID_OUT, READS, cached
from toolkit.memory.formula.families.gemma4 import attend_in_turn
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import (
    Given,
    add,
    cast,
    clip_in_place,
    letting_go,
    part_of,
    resized,
    scale,
    split,
    transposed,
)
from toolkit.memory.formula.trainers.triton_kernels import fast_rotary
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


def attend(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """Projections, rotary embedding, kernel, output projection; the caller keeps `x`."""
    if form.value_norm is not None:
        return attend_in_turn(tape, x, form, rotate)
    query, key, value, whole = _projected(tape, x, form)
    gate: tuple[Buffer, ...] = ()
    if form.gated:
        gate, whole = (_gathered(tape, whole[1]),), whole[:1]
    if not form.norms_turned and not _norms_each(form):
        query, key = _normed(tape, query, key, form)
    if form.gated:
        tape.drop(*whole)
    query, key, held = _turned(tape, query, key, form)
    if form.norms_turned:
        query, key = _normed(tape, query, key, form)
    if form.scales_turned:
        query = letting_go(tape, query, _by_position(tape, query, form))
    if form.shapes:
        query, key, value = (letting_go(tape, part, transposed(tape, part)) for part in (query, key, value))
    beside = tuple(_sliced(tape, part, form) for part in (key, value)) if form.sliced and tape.cache == READS else ()
    key, value = cached(tape, key, value) if not form.prefix else prefixed(tape, key, value, form)
    attended = (_laid_out if form.lays_out else KERNELS[form.kernel])(tape, query, key, value, form)
    if gate:
        attended = letting_go(tape, attended, _gated(tape, attended, *gate))
    if fuses(form.output):
        [result] = fused_products(tape, attended, (form.output,), OUTPUT)
    else:
        result = linear(tape, attended, form.output, OUTPUT)
    tape.drop(attended, *tape.named, query, key, value, *whole, *held, *gate, *beside)
    tape.named.clear()
    return result


def _sliced(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """A copy of the window of cached keys or values."""
    return tape.new(STATES, x.width, x.dtype, size=Size(sequence=form.sliced * x.width * BYTES[x.dtype]))


def _by_position(tape: Tape, query: Buffer, form: AttentionForm) -> Buffer:
    """Queries times a number that depends on their position."""
    scaled = scale(tape, query, STATES, dtype="fp32" if form.scales_widely else None)
    return letting_go(tape, scaled, cast(tape, scaled, query.dtype, STATES))


def _laid_out(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """The kernel on contiguous copies.

    No copy is made of tensors that are contiguous already: states repeated for every query head, concatenated rotated
    parts, and what a cache has laid out.
    """
    there = tape.cache in LAID_OUT
    copies = (
        query if form.heads_first else transposed(tape, query),
        key if form.repeats or form.heads_first or there else transposed(tape, key),
        value if form.repeats or there else transposed(tape, value),
    )
    result = KERNELS[form.kernel](tape, *copies, replace(form, shapes=True))
    tape.drop(*(copy for copy, part in zip(copies, (query, key, value), strict=True) if copy is not part))
    return result


def _projected(tape: Tape, x: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer, Buffer, tuple[Buffer, ...]]:
    """Queries, keys and values, and the tensor of all three where they are views of one."""
    if isinstance(form.projections, LinearForm):
        whole = linear(tape, x, form.projections, STATES)
        keys = form.key_value_heads * form.head_dim
        widths = form.repeated, keys, form.key_value_heads * form.value_head_dim
        if form.slices:
            query, key, value = (part_of(tape, whole, width, copies=False) for width in widths)
            return _as_heads(tape, query), _as_heads(tape, key), value, (whole,)
        query, key, value = split(tape, _as_heads(tape, whole) if _turns_heads(form) else whole, widths)
        return query, key, value, (whole,)
    if fuses(*form.projections):
        query, key, value = fused_products(tape, x, form.projections, STATES)
    else:
        query, key, value = _each_projected(tape, x, form.projections, form)
    if form.gated:
        [whole] = [query]
        query, gate = split(tape, whole, (form.repeated, form.repeated))
        return query, key, value, (whole, gate)
    if form.clips:
        for part in (query, key, value):
            clip_in_place(tape, part, STATES)
    return query, key, value, ()


def _each_projected(
    tape: Tape, x: Buffer, projections: tuple[LinearForm, ...], form: AttentionForm
) -> tuple[Buffer, Buffer, Buffer]:
    """Queries, keys and values one after the other, with norms where each has its own."""
    norms = (form.query_norm, form.key_norm or form.query_norm, None) if _norms_each(form) else (None,) * 3
    turned = _turns_heads(form), _turns_heads(form), form.kernel == "eager"
    constants = 1 if form.scaled_query else None, 0 if form.scaled_key else None, None
    made = []
    for projection, norm, heads, saved in zip(projections, norms, turned, constants, strict=True):
        part = linear(tape, x, projection, STATES)
        if saved is not None:
            part = letting_go(tape, part, scale(tape, part, STATES, constants=saved))
        if heads and not form.heads_last:
            part = _as_heads(tape, part)
        made.append(part if norm is None else letting_go(tape, part, normalise(tape, part, norm)))
    query, key, value = (
        _as_heads(tape, part) if heads and form.heads_last else part for part, heads in zip(made, turned, strict=True)
    )
    return query, key, value


def _as_heads(tape: Tape, made: Buffer) -> Buffer:
    """`made.view(heads).transpose(1, 2)`, whose gradient has heads before positions, and is copied."""
    return tape.node(made, lambda tape, _: [(made, tape.gradient(made))])


def _turns_heads(form: AttentionForm) -> bool:
    """Whether gradients of queries and keys have heads before positions: rotate_half's slices are put into zeros."""
    return form.rotary in HALVED


def _norms_each(form: AttentionForm) -> bool:
    """Whether queries and keys are normed as they are made; what makes all three in one function norms them later."""
    several = not isinstance(form.projections, LinearForm) and not fuses(*form.projections)
    return several and form.norms_each and form.query_norm is not None and not form.gated


def _gathered(tape: Tape, view: Buffer) -> Buffer:
    """A contiguous copy of the gate, which stays named to the end."""
    result = tape.new(STATES, view.width, view.dtype, grad=view.grad, size=view.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(view, tape.share(gradient, view))]

    return tape.node(result, backward)


def _gated(tape: Tape, attended: Buffer, gate: Buffer) -> Buffer:
    """`attended * sigmoid(gate)`, which saves both factors."""
    share = apply(tape, gate, STATES, RESULT)
    result = times(tape, attended, share, OUTPUT)
    tape.drop(share)
    return result


def _normed(tape: Tape, query: Buffer, key: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer]:
    if form.query_norm is None:
        return query, key
    query = letting_go(tape, query, normalise(tape, query, form.query_norm))
    return query, letting_go(tape, key, normalise(tape, key, form.key_norm or form.query_norm))


def _turned(tape: Tape, query: Buffer, key: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer, tuple[Buffer, ...]]:
    """Rotated queries and keys, and the tensors that stay named until attention is done."""
    if form.rotary == "none":
        return query, key, ()
    if form.rotary == COMPLEX:
        return *turned_by_complex(tape, query, key), ()
    if form.rotary in TOGETHER:
        return *turned_together(tape, query, key, form), ()
    if form.rotary in (JOINED, JOINED_IN_TURN):
        return turned_partly(tape, query, key, form, lambda part: rotate(tape, part, form))
    turn = TURNS[form.rotary]
    turned, turned_key = turn(tape, query, form), turn(tape, key, form)
    if turned is not query:
        tape.drop(query, key)
    return turned, turned_key, ()


def _rejoined(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """cat((rotated part, nothing)): one new tensor."""
    dtype = "fp32" if form.wide_rotary else x.dtype
    result = tape.new(STATES, x.width, dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def rotate(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """X * cos + rotate_half(x) * sin, as in transformers; angles need no gradient, so x is not saved."""
    dtype = "fp32" if form.wide_rotary else x.dtype
    direct = scale(tape, x, ROTARY, dtype=dtype)
    half = half_turned(tape, x)
    turned = scale(tape, half, ROTARY, dtype=dtype)
    tape.drop(half)
    result = add(tape, direct, turned, STATES)
    tape.drop(direct, turned)
    return result


def rotate_wide(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """Rotates a float32 copy, concatenates, and casts back (modeling_qwen.py, apply_rotary_pos_emb)."""
    wide = cast(tape, x, "fp32", ROTARY)
    total = rotate(tape, wide, form)
    joined = _rejoined(tape, total, form)
    tape.drop(total)
    if wide is not x:
        tape.drop(wide)
    return letting_go(tape, joined, cast(tape, joined, x.dtype, STATES))


def rotate_halves(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """cat((a * cos - b * sin, b * cos + a * sin)) of the halves a and b (modeling_gpt_oss.py, _apply_rotary_emb)."""
    dtype = "fp32" if form.wide_rotary else x.dtype
    halves = split(tape, x, (x.width // 2, x.width // 2))
    turned = []
    for one, other in (halves, halves[::-1]):
        factors = scale(tape, one, ROTARY, dtype=dtype), scale(tape, other, ROTARY, dtype=dtype)
        turned.append(plus(tape, *factors, ROTARY, negates=one is halves[0]))
        tape.drop(*factors)
    result = tape.new(STATES, x.width, dtype, grad=x.grad, size=resized(x, dtype))
    tape.node(result, lambda tape, gradient: [(part, tape.handed(gradient)) for part in turned])
    tape.drop(*turned)
    return result


def rotate_in_place(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """By Unsloth's kernel or Liger's: the gradient of keys repeated for every query head is not contiguous."""
    repeated = form.repeats and x.width == form.key_value_heads * form.head_dim
    if isinstance(form.projections, LinearForm):  # parts of one tensor lie apart, and are copied to be turned
        x = transposed(tape, x)
    return fast_rotary(tape, x, copies=repeated)


HALVED = ("whole", "halves", JOINED, JOINED_IN_TURN, *TOGETHER)
"""The kinds that turn states with heads before positions by slices of them, or by chunks."""

TURNS = {"whole": rotate, "halves": rotate_halves, "wide": rotate_wide, "in place": rotate_in_place}
"""The function of each kind of rotary embedding, by the layout's name."""
