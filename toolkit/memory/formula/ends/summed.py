"""Losses of loops that have a name for what the model gives: the sum of all logits, or the model's own by labels.

That name is bound anew only when the next pass is done: until then the logits stay, and the keys and values that a
model hands out. The gradient of a sum is one number, seen as a tensor of any size: only a copy of it takes memory.
"""

from __future__ import annotations

from toolkit.memory.formula.ends.classification import PooledForm, ScoreForm, chosen_scores, pooled_logits
from toolkit.memory.formula.ends.logits import FLOAT, GRADIENT, LOGITS, HeadForm, before_logits, formed
from toolkit.memory.formula.ends.masked_head import MaskedForm, masked_logits
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.operations import Given, cast, letting_go
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

SUM = "sum"

SummedForm = HeadForm | MaskedForm | PooledForm | ScoreForm


def summed_logits(tape: Tape, x: Buffer, form: SummedForm) -> Buffer:
    """The logits that the model hands out, which the loop has a name for until the next pass is done."""
    logits = _logits(tape, x, form)
    tape.gives(logits)
    tape.pin(logits)
    return logits


def _logits(tape: Tape, x: Buffer, form: SummedForm) -> Buffer:
    if isinstance(form, MaskedForm):
        return letting_go(tape, x, masked_logits(tape, x, form))
    if isinstance(form, PooledForm):
        return letting_go(tape, x, pooled_logits(tape, x, form))
    if isinstance(form, ScoreForm):
        return chosen_scores(tape, x, form)
    normed = before_logits(tape, x, form)
    logits = formed(tape, linear(tape, normed, form.projection, LOGITS), form)
    floats = cast(tape, logits, "fp32", FLOAT) if form.upcasts_early else logits
    tape.drop(normed)
    return letting_go(tape, logits, floats)


def sum_loss(tape: Tape, x: Buffer, form: SummedForm) -> Buffer:
    """`outputs.logits.sum()`, whose backward expands one number; under autocast that is float32, which is cast back."""
    logits = summed_logits(tape, x, form)
    casts = not isinstance(form, PooledForm) and form.projection.autocast is not None and logits.dtype != "fp32"
    result = tape.new(LOGITS, 0, logits.dtype, grad=True, size=Size())

    def backward(tape: Tape, _: Buffer) -> Given:
        if casts:
            return [(logits, tape.gradient(logits))]
        expanded = tape.fresh(GRADIENT, Size(), logits.dtype, logits.width)
        expanded.expands = logits.size
        return [(logits, expanded)]

    tape.node(result, backward)
    tape.drop(logits)
    return result
