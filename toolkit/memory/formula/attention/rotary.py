"""Rotary embedding that differs from LLaMA's: adjacent pairs, products in float32, results cast back at the end.

Sources, all of transformers 5.23: modeling_olmo2.py ("promoted": float32 angles), modeling_cohere.py ("floated":
queries and keys in float32 first), modeling_ernie4_5.py ("floated pairs": each factor in float32), modeling_helium.py
("pairs") and modeling_glm.py ("joined pairs": a part of each head). With adjacent pairs each layer repeats cosines and
sines for itself, and its graph keeps them.
"""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import STATES, AttentionForm
from toolkit.memory.formula.attention.partial_rotary import turned_partly
from toolkit.memory.formula.operations import Given, add, cast, letting_go, resized
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROTARY = "rotary_states"

PROMOTED, FLOATED, FLOATED_PAIRS, PAIRS, JOINED_PAIRS = "promoted", "floated", "floated pairs", "pairs", "joined pairs"
FLOATED_TWICE = "floated twice"
"""Each product makes its own float32 copy (modeling_modernbert.py)."""
TOGETHER = (PROMOTED, FLOATED, FLOATED_PAIRS, PAIRS, JOINED_PAIRS, FLOATED_TWICE)
"""The names in layouts for which queries and keys are rotated together, not one after the other."""

FLOAT_ANGLES = (PROMOTED, FLOATED_PAIRS)
"""The names for which the model's angles are float32, whatever the dtype of the stream."""

SPREAD_BY_LAYERS = (PAIRS, JOINED_PAIRS, FLOATED_PAIRS)
"""The names for which each layer has its own cosines and sines, so that no graph holds the model's."""

Angles = tuple[Buffer, ...]


def turned_together(tape: Tape, query: Buffer, key: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer]:
    """Rotated queries and keys: both are rotated before either is cast back."""
    angles = _spread(tape, form)
    given = [query, key]
    if form.rotary == FLOATED:
        given = [cast(tape, part, "fp32", ROTARY) for part in given]
    if form.rotary == JOINED_PAIRS:
        made = turned_partly(tape, query, key, form, lambda part: _turn(tape, part, form, angles))
        tape.drop(*angles)
        return made[0], made[1]
    turned = [_turn(tape, part, form, angles) for part in given]
    if form.rotary in (PROMOTED, FLOATED, FLOATED_PAIRS, FLOATED_TWICE):
        narrow = [cast(tape, part, x.dtype, STATES) for part, x in zip(turned, (query, key), strict=True)]
    else:
        narrow = turned
    tape.drop(*(part for part in turned if part not in narrow), *angles, *given, query, key)
    return narrow[0], narrow[1]


def _spread(tape: Tape, form: AttentionForm) -> Angles:
    """cos.repeat_interleave(2), and the same for sines: one row for each position."""
    if form.rotary not in SPREAD_BY_LAYERS:
        return ()
    dtype = "fp32" if form.rotary == FLOATED_PAIRS or form.wide_rotary else form.angles
    size = Size(position=form.turned_width * BYTES[dtype])
    return tuple(tape.new(ROTARY, 0, dtype, size=size) for _ in ("cosines", "sines"))


def _turn(tape: Tape, x: Buffer, form: AttentionForm, angles: Angles) -> Buffer:
    """X * cos + rotate_half(x) * sin."""
    wide = form.wide_rotary or form.rotary in (PROMOTED, FLOATED, FLOATED_PAIRS, FLOATED_TWICE)
    dtype = "fp32" if wide else x.dtype
    cosines, sines = angles[:1], angles[1:]
    direct = _times(tape, _floated(tape, x, form), x, dtype, cosines)
    half = _half(tape, x, form)
    turned = _times(tape, half, half, dtype, sines)
    tape.drop(half)
    result = add(tape, direct, turned, STATES)
    tape.drop(direct, turned)
    return result


def _half(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """rotate_half(x), in float32 where its products are: cast before it is rotated, or after."""
    if form.rotary != FLOATED_TWICE:
        half = half_turned(tape, x)
        return letting_go(tape, half, _floated(tape, half, form))
    wide = cast(tape, x, "fp32", ROTARY)
    half = half_turned(tape, wide)
    if wide is not x:
        tape.drop(wide)
    return half


def _floated(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    return cast(tape, x, "fp32", ROTARY) if form.rotary in (FLOATED_PAIRS, FLOATED_TWICE) else x


def _times(tape: Tape, x: Buffer, original: Buffer, dtype: str, factor: Angles) -> Buffer:
    """`x * angles` in the dtype to which torch promotes it; drops `x` where it is a copy of `original`."""
    saved = tape.save(*factor, constants=0 if factor else 1) if x.grad else ()
    result = tape.new(ROTARY, x.width, dtype, grad=x.grad, size=resized(x, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        if dtype == x.dtype:
            return [(x, tape.gradient(x))]
        wide = tape.gradient(result)
        narrow = tape.gradient(x)
        tape.discard(wide)
        return [(x, narrow)]

    tape.node(result, backward, saved)
    return letting_go(tape, x, result) if x is not original else result


def half_turned(tape: Tape, x: Buffer) -> Buffer:
    """cat((-second half, first half)), or the same for pairs: backward adds two tensors filled from the halves."""
    half = Size(*[part // 2 for part in x.size])
    with tape.temporary(ROTARY, half):
        result = tape.new(ROTARY, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary("activation_gradients", half):
            second = tape.gradient(x)
        return [(x, second), (x, tape.gradient(x))]

    return tape.node(result, backward)
