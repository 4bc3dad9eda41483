"""The gated delta rule by the kernels of flash-linear-attention, which save little and recompute the rest.

Source: fla 0.6.0, ops/gated_delta_rule/chunk.py (ChunkGatedDeltaRuleFunction, chunk_gated_delta_rule_bwd) and the
functions that these call, read line by line: what each allocates, and how long it is referenced. The kernels themselves
allocate nothing. Widths: K = key heads x key width, R = value heads x key width, V = value heads x value width.
"""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.memory.formula.arrays import per_token
from toolkit.memory.formula.caches.cached import COPIES
from toolkit.memory.formula.caches.cached import ROW as CACHE
from toolkit.memory.formula.operations import Given
from toolkit.memory.formula.recurrence.rule_form import ROW, RuleForm
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

FLA, TORCH = "fla", "torch"


def fla_delta_rule(
    tape: Tape, query: Buffer, key: Buffer, value: Buffer, decay: Buffer, beta: Buffer, form: RuleForm
) -> Buffer:
    """What each token reads of the state; the caller keeps all inputs, of which contiguous copies are made."""
    net, dtype = form.net, value.dtype
    heads = net.value_heads
    copies = [_made(tape, x.width, dtype) for x in (query, key, value)]
    normed = [_made(tape, net.keys, dtype) for _ in ("query", "key")]
    roots = [_made(tape, net.key_heads, "fp32") for _ in ("query", "key")]
    risen, solved = _made(tape, heads, "fp32"), _made(tape, heads * net.piece, dtype)
    inner = [_made(tape, form.keys, dtype), _made(tape, net.values, dtype)]  # w and u
    inner += [_states(tape, form, dtype), _made(tape, net.values, dtype)]  # h, and the new values
    final = [tape.new(ROW, 0, "fp32", size=form.state)] if tape.cache == COPIES else []
    grad = any(x.grad for x in (query, key, value, decay, beta))
    result = tape.new(ROW, net.values, dtype, grad=grad, size=per_token(net.values, dtype))
    saved = tape.save(*normed, *roots, copies[2], risen, beta, beta, solved) if grad else ()
    targets = (query, key, value, decay, beta)

    def backward(tape: Tape, _: Buffer) -> Given:
        return _backward(tape, targets, form, dtype)

    tape.node(result, backward, saved)
    tape.drop(*copies, *normed, *roots, risen, solved, *inner)
    if final:
        kept = tape.new(CACHE, 0, "fp32", size=form.state)
        kept.references += 1  # the cache's own
        tape.drop(*final)
    return result


def _made(tape: Tape, width: int, dtype: str) -> Buffer:
    return tape.new(ROW, width, dtype, size=per_token(width, dtype))


def _states(tape: Tape, form: RuleForm, dtype: str) -> Buffer:
    """The state before each chunk, in the dtype of the keys."""
    return tape.new(ROW, 0, dtype, size=Size(piece=form.net.state * BYTES[dtype]))


def _backward(tape: Tape, targets: Sequence[Buffer], form: RuleForm, dtype: str) -> Given:
    """w, u, states and new values recomputed; the gradients of values, states, queries, keys and w; and their sums."""
    net = form.net
    values, repeated = per_token(net.values, dtype), per_token(form.keys, dtype)
    states, gates = Size(piece=net.state * BYTES[dtype]), per_token(net.value_heads, "fp32")

    def fresh(size: Size, count: int = 1) -> list[Buffer]:
        return [tape.fresh(INCOMING, size, dtype) for _ in range(count)]

    held = [*fresh(repeated), *fresh(values), *fresh(states), *fresh(values)]
    local = fresh(values)  # the gradient of values within pieces
    held += [*fresh(states), *fresh(values)]
    tape.discard(*local)
    last = fresh(repeated, 3)  # of queries, keys and w
    gates_there = fresh(gates)
    if net.key_heads != net.value_heads:  # summed over the heads of values that share them
        last = [*fresh(per_token(net.keys, dtype), 2), *_without(tape, last[:2], last[2:])]
    second = [*fresh(repeated), *fresh(values), *fresh(gates), *fresh(per_token(net.value_heads, dtype))]
    if net.key_heads != net.value_heads:
        second += fresh(per_token(net.keys, dtype))
    for one in (*held, *gates_there, *second, last[2]):
        tape.discard(one)
    given = [(one, tape.gradient(one)) for one in targets if one.grad]
    for one in last[:2]:  # as they were before the norms of queries and keys
        tape.discard(one)
    return given


def _without(tape: Tape, gone: list[Buffer], left: list[Buffer]) -> list[Buffer]:
    for one in gone:
        tape.discard(one)
    return left


def fla_step(tape: Tape, form: RuleForm) -> None:
    """One token: the next state, which is then copied to where the cache has it (fused_recurrent.py)."""
    with tape.temporary(ROW, form.state):
        pass
