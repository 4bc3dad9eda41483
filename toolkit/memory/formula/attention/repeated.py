"""Keys and values repeated for every query head that shares them."""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import STATES, AttentionForm
from toolkit.memory.formula.caches.cached import READS, STATIC
from toolkit.memory.formula.operations import Given
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


def repeated(tape: Tape, x: Buffer, form: AttentionForm) -> Buffer:
    """Keys or values repeated to the width of the queries, in a new tensor; unchanged where no head is shared."""
    if not form.is_grouped:
        return x
    result = tape.new(STATES, form.repeated, x.dtype, grad=x.grad, size=_repeated_size(tape, x, form))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _repeated_size(tape: Tape, x: Buffer, form: AttentionForm) -> Size:
    """The size for every token; while a cache is read, for all tokens in it, or in its window."""
    each = form.repeated * BYTES[x.dtype]
    if tape.cache == STATIC and tape.keeping is not None:
        return Size(sequence=tape.keeping.room * each)
    if tape.cache != READS:
        return Size(token=each, sequence=form.prefix * each)
    return Size(pair=each) if form.window is None else Size(sequence=form.window * each)
