"""The gated delta rule in transformers' torch operations: by chunks of 64 tokens, in float32.

Source: transformers 5.23 modeling_qwen3_5.py, torch_chunk_gated_delta_rule.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.formula.arrays import (
    RESULT,
    apply,
    constant,
    copied,
    per_token,
    plus,
    product,
    rearranged,
    summed,
    times,
)
from toolkit.memory.formula.caches.cached import COPIES
from toolkit.memory.formula.caches.cached import ROW as CACHE
from toolkit.memory.formula.operations import Given, cast, letting_go, scale
from toolkit.memory.formula.recurrence.delta_pieces import Whole, through
from toolkit.memory.formula.recurrence.rule_form import FLOAT, ROW, RuleForm, resized_to
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape


def delta_rule(
    tape: Tape, query: Buffer, key: Buffer, value: Buffer, decay: Buffer, beta: Buffer, form: RuleForm
) -> Buffer:
    """What each token reads of the state; the caller keeps all inputs."""
    given = value.dtype
    form = replace(form, strided=given == "fp32" and not form.ragged)
    inputs = _inputs(tape, query, key, value, decay, beta, form)
    total = apply(tape, inputs.decay, ROW, beside=1)
    whole, named = _of_pieces(tape, inputs, total, form)
    state, into = constant(tape, ROW, form.state), constant(tape, ROW, whole.values.size)
    whole, last = _risen(tape, whole, total, form)
    result, state, parts = through(tape, whole, state, into, form)
    out = letting_go(tape, into, rearranged(tape, result, ROW))
    first = _of_tokens(tape, out, form)
    narrow = cast(tape, first, given, ROW) if given != "fp32" else first
    tape.drop(inputs.value, inputs.beta, inputs.decay, total, *named, last, *parts)
    tape.drop(whole.values, whole.decayed, whole.query, whole.within, whole.key)
    _keep_state(tape, form)
    read = rearranged(tape, first, ROW) if narrow is first else narrow
    tape.drop(out, state)
    return read


@frozen
class _Inputs:
    """The rule's inputs in float32, padded to whole chunks."""

    query: Buffer
    key: Buffer
    value: Buffer
    decay: Buffer
    beta: Buffer


def _inputs(
    tape: Tape, query: Buffer, key: Buffer, value: Buffer, decay: Buffer, beta: Buffer, form: RuleForm
) -> _Inputs:
    """Queries and keys normalized to length one, and all inputs padded to whole chunks."""
    query, key, value, beta = _floated(tape, query, key, value, beta, form)
    query = letting_go(tape, query, _unit(tape, query, form))
    key = letting_go(tape, key, _unit(tape, key, form))
    query = letting_go(tape, query, scale(tape, query, ROW, constants=0))
    widths = (form.keys, form.keys, form.net.values)
    wide = [copied(tape, one, ROW, form.padded(width)) for one, width in zip((query, key, value), widths, strict=True)]
    tape.drop(query, key, value)
    rates = form.padded(form.net.value_heads)
    beta = letting_go(tape, beta, copied(tape, beta, ROW, rates))
    return _Inputs(wide[0], wide[1], wide[2], copied(tape, decay, ROW, rates), beta)


def _of_pieces(tape: Tape, inputs: _Inputs, total: Buffer, form: RuleForm) -> tuple[Whole, tuple[Buffer, ...]]:
    """The recurrence's inputs except the decay, and what else stays named to the end."""
    v_beta, k_beta = times(tape, inputs.value, inputs.beta, ROW), times(tape, inputs.key, inputs.beta, ROW)
    pairwise = _pairwise(tape, total, form)
    system, within = _products(tape, inputs.query, inputs.key, k_beta, pairwise, form)
    risen = apply(tape, total, ROW, RESULT)
    decayed = times(tape, k_beta, risen, ROW)
    tape.drop(risen)
    values, decayed_key = _solve(tape, system, v_beta), _solve(tape, system, decayed)
    whole = Whole(values, decayed_key, inputs.query, within, inputs.key, total)
    return whole, (v_beta, k_beta, pairwise, system, decayed)


def _risen(tape: Tape, whole: Whole, total: Buffer, form: RuleForm) -> tuple[Whole, Buffer]:
    """Queries times the decay so far, keys times the remaining decay, and the decay of each chunk."""
    risen = apply(tape, total, ROW, RESULT)
    query = letting_go(tape, whole.query, times(tape, whole.query, risen, ROW))
    tape.drop(risen)
    last = _view_of(total, Size(piece=form.net.value_heads * FLOAT))
    left = plus(tape, total, last, ROW, size=total.size, negates=True)
    remaining = letting_go(tape, left, apply(tape, left, ROW, RESULT))
    key = letting_go(tape, whole.key, times(tape, whole.key, remaining, ROW))
    tape.drop(remaining)
    decay = apply(tape, last, ROW, RESULT)
    return replace(whole, query=query, key=key, decay=decay), decay


def _floated(
    tape: Tape, query: Buffer, key: Buffer, value: Buffer, beta: Buffer, form: RuleForm
) -> tuple[Buffer, Buffer, Buffer, Buffer]:
    """All in float32, heads before tokens; queries and keys repeated for every head of values."""
    repeated = (query, key)
    if form.net.key_heads != form.net.value_heads:
        size = per_token(form.keys, query.dtype)
        repeated = (copied(tape, query, ROW, size), copied(tape, key, ROW, size))
    wide = [cast(tape, x, "fp32", ROW) for x in (*repeated, value, beta)]
    tape.drop(*(one for one, other in zip(repeated, (query, key), strict=True) if one is not other and one not in wide))
    return wide[0], wide[1], wide[2], wide[3]


def _unit(tape: Tape, x: Buffer, form: RuleForm) -> Buffer:
    """X * rsqrt((x * x).sum() + eps) (l2norm)."""
    size = per_token(form.net.value_heads, "fp32")
    squares = times(tape, x, x, ROW)
    total = letting_go(tape, squares, summed(tape, squares, ROW, size))
    inverse = letting_go(tape, total, apply(tape, total, ROW, RESULT, beside=1))
    result = times(tape, x, inverse, ROW)
    tape.drop(inverse)
    return result


def _pairwise(tape: Tape, total: Buffer, form: RuleForm) -> Buffer:
    """The decay between every two tokens of a chunk; saves a mask and the result."""
    whole = tape.new(ROW, 0, "bool", size=Size(fixed=form.net.piece**2))
    mask = letting_go(tape, whole, tape.new(ROW, 0, "bool", size=Size(fixed=form.net.piece**2)))
    difference = plus(tape, total, total, ROW, size=form.padded(form.pairs), negates=True)
    saved = tape.save(mask) if difference.grad else ()
    masked = tape.new(ROW, 0, "fp32", grad=difference.grad, size=difference.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(difference, tape.gradient(difference))]

    tape.node(masked, backward, saved)
    tape.drop(difference, mask)
    return letting_go(tape, masked, apply(tape, masked, ROW, RESULT))


def _products(
    tape: Tape, query: Buffer, key: Buffer, k_beta: Buffer, pairwise: Buffer, form: RuleForm
) -> tuple[Buffer, Buffer]:
    """The system to be solved, and attention within a chunk."""
    found = []
    for left in (k_beta, query):
        size = resized_to(form.padded(form.pairs), form.autocast or "fp32")
        both = product(tape, left, key, ROW, size, low=form.autocast, strided="both" if form.strided else "")
        found.append(times(tape, both, pairwise, ROW, dtype="fp32"))
        tape.drop(both)
    return found[0], found[1]


def _solve(tape: Tape, system: Buffer, right: Buffer) -> Buffer:
    """linalg.solve_triangular: saves the system and the result; backward solves it again, and multiplies."""
    before = tape.save(system) if system.grad else ()
    result = tape.new(ROW, 0, "fp32", grad=right.grad, size=right.size)
    saved = (*before, *tape.save(result)) if right.grad else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        to_right = tape.gradient(right)
        with tape.temporary(INCOMING, system.size):
            to_system = tape.gradient(system)
        return [(system, to_system), (right, to_right)]

    return tape.node(result, backward, saved)


def _view_of(whole: Buffer, size: Size) -> Buffer:
    """A view of a small tensor, whose gradient is left out."""
    return Buffer(whole.row, size, 0, whole.dtype, whole.grad, held=False, counted=False, base=whole.base or whole)


def _keep_state(tape: Tape, form: RuleForm) -> None:
    if tape.cache == COPIES:
        kept = tape.new(CACHE, 0, "fp32", size=form.state)
        kept.references += 1  # the cache's own


def _of_tokens(tape: Tape, whole: Buffer, form: RuleForm) -> Buffer:
    """The results of the real tokens, as a view; the gradient of a part is put into zeros."""
    size, width = per_token(form.net.values, "fp32"), form.net.values
    view = Buffer(ROW, size, width, "fp32", whole.grad, held=False, counted=False, base=whole)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(whole, tape.gradient(whole) if form.ragged else tape.share(gradient, whole))]

    return tape.node(view, backward)
