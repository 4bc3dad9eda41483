"""Gemma 4's attention: queries, then keys, then values, each normalized; values may share the keys' projection.

Source: transformers 5.23 modeling_gemma4.py, Gemma4TextAttention.forward.
"""

from __future__ import annotations

from collections.abc import Callable

from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import KERNELS
from toolkit.memory.formula.caches.cached import cached
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import letting_go
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

Turn = Callable[[Tape, Buffer, AttentionForm], Buffer]


def attend_in_turn(tape: Tape, x: Buffer, form: AttentionForm, turn: Turn) -> Buffer:
    """Projections, norms, rotary embedding, kernel, output projection; the caller keeps `x`."""
    projections = form.projections
    if isinstance(projections, LinearForm) or form.query_norm is None or form.value_norm is None:
        raise TypeError("an attention without its parts")
    key_norm = form.key_norm or form.query_norm
    query = linear(tape, x, projections[0], STATES)
    query = _turned(tape, letting_go(tape, query, normalise(tape, query, form.query_norm)), form, turn)
    if len(projections) == 1:
        return _attended(tape, query, _of_earlier(tape, query, form), form)
    keys = linear(tape, x, projections[1], STATES)
    values = keys if len(projections) < len("qkv") else linear(tape, x, projections[2], STATES)
    key = _turned(tape, _renamed(tape, keys, key_norm, keeps=values is keys), form, turn)
    value = _renamed(tape, values, form.value_norm)
    return _attended(tape, query, cached(tape, key, value), form)


def _attended(tape: Tape, query: Buffer, keys: tuple[Buffer, ...], form: AttentionForm) -> Buffer:
    key, value = keys
    attended = KERNELS[form.kernel](tape, query, key, value, form)
    result = linear(tape, attended, form.output, OUTPUT)
    tape.drop(attended, *tape.named, query, key, value)
    tape.named.clear()
    return result


def _of_earlier(tape: Tape, query: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer]:
    """An earlier layer's keys and values, with the gradients that later layers have already given them."""
    width, grad = form.key_value_heads * form.head_dim, form.returns_gradients
    plain = query.dtype if form.narrows is not None or form.autocast is None else form.autocast  # not rotated
    one, other = (
        Buffer(STATES, Size(token=width * BYTES[dtype]), width, dtype, grad, held=False, counted=False)
        for dtype in (query.dtype, plain)
    )
    if grad:
        tape.outside += ((part, not form.last) for part in (one, other))
    return one, other


def keys_alone(tape: Tape, x: Buffer, norm: NormForm, form: AttentionForm, turn: Turn) -> tuple[Buffer, Buffer]:
    """Only the keys and values of a layer."""
    projections = form.projections
    if isinstance(projections, LinearForm) or form.key_norm is None or form.value_norm is None:
        raise TypeError("an attention without its parts")
    normed = normalise(tape, x, norm)
    keys = linear(tape, normed, projections[1], STATES)
    values = keys if len(projections) < len("qkv") else linear(tape, normed, projections[2], STATES)
    key = _turned(tape, _renamed(tape, keys, form.key_norm, keeps=values is keys), form, turn)
    return key, _renamed(tape, values, form.value_norm)


def _renamed(tape: Tape, x: Buffer, norm: NormForm, *, keeps: bool = False) -> Buffer:
    """The normalized tensor, which takes over its input's name, unless another name keeps the input."""
    normed = normalise(tape, x, norm)
    return normed if keeps else letting_go(tape, x, normed)


def _turned(tape: Tape, x: Buffer, form: AttentionForm, turn: Turn) -> Buffer:
    return letting_go(tape, x, turn(tape, x, form))
