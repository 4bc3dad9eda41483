"""Rotary embedding of a part of each head: the part is turned, and concatenated with the rest.

Sources, all of transformers 5.23: modeling_glm4_moe.py and modeling_gpt_neox.py ("joined"), modeling_phi3.py (it is
"joined in turn": queries are concatenated before keys are turned), modeling_glm.py ("joined pairs"), modeling_phi.py
(the attention's own names keep the parts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toolkit.memory.formula.attention.attention_form import STATES, AttentionForm
from toolkit.memory.formula.operations import Given, widened, wider
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

JOINED, JOINED_IN_TURN = "joined", "joined in turn"

Turn = Callable[[Buffer], Buffer]


def turned_partly(
    tape: Tape, query: Buffer, key: Buffer, form: AttentionForm, turn: Turn
) -> tuple[Buffer, Buffer, tuple[Buffer, ...]]:
    """Queries and keys with a turned part; then the tensors that stay named until attention is done."""
    sliced = [_slices(tape, x, form) for x in (query, key)]
    if form.rotary == JOINED_IN_TURN:
        joined = [_joined_at_once(tape, x, *parts, turn) for x, parts in zip((query, key), sliced, strict=True)]
        tape.drop(query, key)
        return joined[0], joined[1], ()
    turned = [turn(part) for part, _ in sliced]
    rest = [passed for _, passed in sliced]
    names = _joined(tape, (query, key), turned, rest, keeps=form.turned is not None)
    if form.turned is not None:
        return *names, (query, key, *turned)
    tape.drop(query, key)
    return *names, ()


def _slices(tape: Tape, x: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer]:
    """The part of each head that is turned, and the rest: views, whose gradients are each put into zeros of the whole.

    A slice of all is no view (python_variable_indexing.cpp, applySlice).
    """
    turned = x.width // form.head_dim * form.turned_width
    if turned == x.width:
        return x, _view(tape, x, 0)
    return _view(tape, x, turned), _view(tape, x, x.width - turned)


def _view(tape: Tape, x: Buffer, width: int) -> Buffer:
    size = widened(x, width, x.dtype)
    view = Buffer(x.row, size, width, x.dtype, x.grad, held=False, counted=False, base=x.base or x)
    return tape.node(view, lambda tape, _: [(x, tape.gradient(x))])


def _joined_at_once(tape: Tape, x: Buffer, part: Buffer, rest: Buffer, turn: Turn) -> Buffer:
    turned = turn(part)
    result = _concatenated(tape, x, turned, rest)
    tape.drop(turned)
    return result


def _joined(
    tape: Tape, given: tuple[Buffer, Buffer], turned: list[Buffer], rest: list[Buffer], *, keeps: bool
) -> tuple[Buffer, Buffer]:
    def each() -> Iterator[Buffer]:
        for x, part, passed in zip(given, turned, rest, strict=True):
            yield _concatenated(tape, x, part, passed)
            if not keeps:
                tape.drop(part)

    query, key = each()
    return query, key


def _concatenated(tape: Tape, x: Buffer, turned: Buffer, rest: Buffer) -> Buffer:
    """`cat((turned, rest))`: in backward both get views of the gradient, or casts of these."""
    dtype = wider(turned.dtype, rest.dtype)
    result = tape.new(STATES, x.width, dtype, grad=x.grad, size=widened(x, x.width, dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [
            (part, tape.handed(gradient) if gradient.dtype == part.dtype else tape.gradient(part))
            for part in (turned, rest)
        ]

    return tape.node(result, backward)
