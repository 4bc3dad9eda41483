"""The ends of T5's two stacks: the encoder's result, and the decoder's logits with their loss."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS, cross_entropy, let_go_of_result
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import drop_out, letting_go, resized, scale
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "head_states"


@frozen
class T5HeadForm:
    """The decoder's final norm, dropout, a factor where the output weight is the embedding's (`scaled`), and logits.

    `holds_encoded` says that the encoder's result is there by its name alone, until the model's forward returns, and
    `wide_result` that accelerate makes float32 tensors of 16-bit ones that the model gives: logits and encoded states.
    """

    norm: NormForm
    projection: LinearForm
    dropout: bool
    scaled: bool
    holds_encoded: bool = False
    wide_result: bool = False


def stack_end(tape: Tape, x: Buffer, norm: NormForm, *, dropout: bool) -> Buffer:
    """dropout(norm(x)), which drops x."""
    result = letting_go(tape, x, normalise(tape, x, norm))
    return letting_go(tape, result, drop_out(tape, result, ROW)) if dropout else result


def t5_loss(tape: Tape, x: Buffer, form: T5HeadForm) -> Buffer:
    """Cross-entropy on logits as they are; the model's code holds them and its states."""
    held = (tape.new(ROW, x.width, x.dtype),) if form.holds_encoded else ()
    states = stack_end(tape, x, form.norm, dropout=form.dropout)
    factored = scale(tape, states, ROW, constants=0) if form.scaled else states
    logits = linear(tape, factored, form.projection, LOGITS)
    result = cross_entropy(tape, logits, widens=form.projection.autocast is not None)
    encoded = resized(states, "fp32") if form.wide_result and states.dtype != "fp32" else Size()
    tape.drop(factored, states)
    with tape.temporary(ROW, encoded):
        let_go_of_result(tape, logits, widens=form.wide_result)
        tape.drop(*held)
    return result


def t5_logits(tape: Tape, x: Buffer, form: T5HeadForm) -> None:
    """The logits of one token of each sequence, and their float32 copy."""
    token = tape.new(x.row, x.width, x.dtype, size=Size(sequence=x.width * BYTES[x.dtype]))
    tape.drop(x)
    states = stack_end(tape, token, form.norm, dropout=False)
    logits = linear(tape, states, form.projection, LOGITS)
    floats = tape.new(FLOAT, logits.width, "fp32", size=resized(logits, "fp32"))
    tape.drop(floats, logits, states)
