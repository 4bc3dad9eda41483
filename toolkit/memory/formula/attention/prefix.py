"""Keys and values of virtual tokens before those of a prompt (peft, prefix tuning; transformers, DynamicCache)."""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import STATES, AttentionForm
from toolkit.memory.formula.operations import Given
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape


def prefixed(tape: Tape, key: Buffer, value: Buffer, form: AttentionForm) -> tuple[Buffer, Buffer]:
    """cat((prefix, keys)) and the same for values, which a cache holds until the model returns.

    The layer's prefix is freed once it has been copied. Its gradient waits for those of all other layers, because one
    embedding makes all of them.
    """
    prefixes = [_prefix(tape, part, form) for part in (key, value)]
    joined = []
    for prefix, part in zip(prefixes, (key, value), strict=True):
        joined.append(_joined(tape, prefix, part))
        tape.drop(prefix)
    tape.drop(key, value)
    return joined[0], joined[1]


def _prefix(tape: Tape, part: Buffer, form: AttentionForm) -> Buffer:
    size = Size(sequence=form.prefix * part.width * BYTES[part.dtype])
    return tape.new(STATES, part.width, part.dtype, size=size)


def _joined(tape: Tape, prefix: Buffer, part: Buffer) -> Buffer:
    result = tape.new(STATES, part.width, part.dtype, grad=True, size=part.size.plus(prefix.size))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        tape.leave(tape.fresh(INCOMING, prefix.size, prefix.dtype))
        return [(part, tape.share(gradient, part))] if part.grad else []

    tape.node(result, backward)
    tape.hold(result)
    return result
