"""The recurrence of the gated delta rule: chunk by chunk over a sequence, or token by token.

Source: transformers 5.23 modeling_qwen3_5.py, torch_chunk_gated_delta_rule and torch_recurrent_gated_delta_rule. The
first and the last chunk of a sequence and one between them are followed; all others leave what the middle one leaves.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.architecture.mixers import SINGLE_PIECES
from toolkit.memory.formula.arrays import part, plus, product, times
from toolkit.memory.formula.operations import Given, resized
from toolkit.memory.formula.recurrence.rule_form import FLOAT, ROW, RuleForm, resized_to
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape


@frozen
class Whole:
    """The recurrence's inputs, for all chunks."""

    values: Buffer
    decayed: Buffer
    query: Buffer
    within: Buffer
    key: Buffer
    decay: Buffer


def through(
    tape: Tape, whole: Whole, state: Buffer, result: Buffer, form: RuleForm
) -> tuple[Buffer, Buffer, list[Buffer]]:
    """All chunks in order, and what names hold of the last; what the chunks not followed save is one tensor."""
    held: list[Buffer] = []
    for number in range(form.pieces):
        others = _others(tape, form) if form.pieces == SINGLE_PIECES and number == 1 and result.grad else ()
        new, read, result = _piece(tape, whole, state, result, form, others, held)
        nodes = len(tape.nodes)
        state = _next_state(tape, whole, state, new, form)
        if number + 1 == form.pieces:  # nothing reads the last
            tape.forget(nodes)
        held = [new, read]
    return result, state, held


def _others(tape: Tape, form: RuleForm) -> tuple[Buffer, ...]:
    """What the chunks not followed save, until backward has passed the middle one."""
    net = form.net
    kept = [form.state, form.of_piece(net.values)]
    if form.strided and form.autocast is None:
        kept += [form.of_piece(form.keys)] * 2
    if form.autocast is not None:
        low = [form.of_piece(width) for width in (form.keys, form.keys, form.pairs, form.keys, net.values, net.values)]
        kept = [form.state, *(resized_to(size, form.autocast) for size in (form.state, form.state, *low))]
    if not tape.records:
        return tape.save(constants=1)
    there = tape.new(ROW, 0, "fp32", size=Size(further=sum(size.sequence for size in kept)))
    saved = tape.save(there)
    tape.drop(there)
    return saved


def _piece(
    tape: Tape,
    whole: Whole,
    state: Buffer,
    result: Buffer,
    form: RuleForm,
    others: tuple[Buffer, ...],
    held: list[Buffer],
) -> tuple[Buffer, Buffer, Buffer]:
    """One chunk: new values, its read of the state, and its result with that read; `held` are the last two."""
    low, net, strided = form.autocast, form.net, "left" if form.strided else ""
    values = form.of_piece(net.values)
    short = resized_to(values, low or "fp32")
    mine = part(tape, whole.values, values, others)
    known = product(tape, part(tape, whole.decayed, form.of_piece(form.keys)), state, ROW, short, low=low)
    new = plus(tape, mine, known, ROW, size=values, negates=True)
    tape.drop(known, *held[:1])
    query = part(tape, whole.query, form.of_piece(form.keys))
    read = product(tape, query, state, ROW, short, low=low, strided=strided)
    tape.drop(*held[1:])
    within = product(tape, part(tape, whole.within, form.of_piece(form.pairs)), new, ROW, short, low=low)
    total = plus(tape, read, within, ROW)
    tape.drop(within)
    result = _put(tape, result, total)
    tape.drop(total)
    return new, read, result


def _next_state(tape: Tape, whole: Whole, state: Buffer, new: Buffer, form: RuleForm) -> Buffer:
    """The decayed state, and what a chunk adds to it."""
    low, net, strided = form.autocast, form.net, "left" if form.strided else ""
    kept = times(tape, state, part(tape, whole.decay, Size(sequence=net.value_heads * FLOAT)), ROW)
    key = part(tape, whole.key, form.of_piece(form.keys))
    more = product(tape, key, new, ROW, resized_to(form.state, low or "fp32"), low=low, strided=strided)
    following = plus(tape, kept, more, ROW)
    tape.drop(kept, more, state)
    return following


def _put(tape: Tape, into: Buffer, x: Buffer) -> Buffer:
    """`into[:, :, i] = x`: backward copies the whole gradient, and the part that goes to x (CopySlices)."""
    base = into.base or into
    result = Buffer(ROW, into.size, 0, into.dtype, x.grad, held=False, counted=False, base=base)

    def backward(tape: Tape, _: Buffer) -> Given:
        whole = tape.gradient(into)
        with tape.temporary(INCOMING, resized(x, into.dtype)):
            to_x = tape.gradient(x)
        if not into.grad:
            tape.discard(whole)
            return [(x, to_x)]
        return [(into, whole), (x, to_x)]

    return tape.node(result, backward)


def delta_step(tape: Tape, form: RuleForm) -> None:
    """One token: the decayed state, what is added to it, and their sum, while the cache holds the previous state."""
    decayed = tape.new(ROW, 0, "fp32", size=form.state)
    with tape.temporary(ROW, form.state):
        pass
    added = tape.new(ROW, 0, "fp32", size=form.state)
    total = tape.new(ROW, 0, "fp32", size=form.state)
    tape.drop(decayed, added)
    with tape.temporary(ROW, form.state):
        pass
    tape.drop(total)
