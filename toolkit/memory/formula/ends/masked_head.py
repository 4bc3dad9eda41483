"""The head of a masked language model: a transform, its norm, the logits of all tokens, and their loss."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS, cross_entropy, let_go_of_result
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import cast, letting_go
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "head_states"


@frozen
class MaskedForm:
    """A masked-language head: `transform`, an activation and a norm, where it has them, and the output embedding.

    With `widens` autocast computes a part of the loss in float32; otherwise all is in the dtype of the logits. `loss`
    is as in a causal language model's head. `before` is a norm at the end of the layers; with `floats` the loss is
    always computed in float32 (ModernBERT). With `wide_result` accelerate casts 16-bit logits to float32.
    """

    transform: LinearForm | None
    norm: NormForm | None
    projection: LinearForm
    activation: str
    widens: bool = False
    loss: str = "cross-entropy"
    before: NormForm | None = None
    floats: bool = False
    wide_result: bool = False


def masked_logits(tape: Tape, x: Buffer, form: MaskedForm) -> Buffer:
    """The logits of all tokens; the caller keeps `x`."""
    if form.transform is None or form.norm is None:
        return linear(tape, x, form.projection, LOGITS)
    state = linear(tape, x, form.transform, ROW)
    state = letting_go(tape, state, activated(tape, state, form.activation, ROW, autocast=form.widens))
    state = letting_go(tape, state, normalise(tape, state, form.norm))
    return letting_go(tape, state, linear(tape, state, form.projection, LOGITS))


def masked_loss(tape: Tape, x: Buffer, form: MaskedForm, *, names: bool = False) -> Buffer:
    """Cross-entropy on all logits; the model's code holds them and `x` until its forward returns.

    Where the loop `names` its output, they stay until the next one is made.
    """
    if form.before is not None:
        x = letting_go(tape, x, normalise(tape, x, form.before))
    logits = masked_logits(tape, x, form)
    if names:
        tape.pin(logits)
    taken = cast(tape, logits, "fp32", FLOAT) if form.floats else logits
    result = cross_entropy(tape, taken, widens=form.widens)
    tape.drop(*(() if taken is logits else (taken,)), x)
    let_go_of_result(tape, logits, widens=form.wide_result)
    return result
