"""Cut cross-entropy: a kernel computes logits tile by tile in registers; they are never in memory.

Source: apple/ml-cross-entropy, cut_cross_entropy/cce.py (LinearCrossEntropyFunction), cce_lse_forward.py,
indexed_dot.py, cce_backward.py, utils.py, with its defaults: gradients are summed in their own dtype, and blocks of
small ones are filtered. axolotl's fork has the same tensors, but refuses weights in float32.
"""

from __future__ import annotations

from contextlib import ExitStack

from toolkit.memory.formula.ends.logits import LABELS, PROBABILITIES, HeadForm
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import Given, resized, scale
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING, NEW_GRADIENT
from toolkit.memory.tape.tape import Tape

HIDDEN = "loss_hidden_states"
WEIGHT = "loss_weight_copy"

LOCKED_ENTRIES, LOCKED_WIDTH = 128, 64
"""The entries of the vocabulary, and of the hidden width, that share one lock of the sum of the weight's gradient."""


def cut_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Saves the hidden states, the index of each valid token, and the log-sum-exp of its logits."""
    projection = form.projection
    if form.own or projection.storage != "plain" or projection.branch is not None:
        raise UnsupportedRow("logits", "cut cross-entropy reads the output layer's own 16-bit weight alone")
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    states = scale(tape, normed, HIDDEN, constants=0) if form.scaled else normed
    dtype = projection.autocast or states.dtype
    inner = _copied(tape, states, dtype)
    saved = [inner]
    if projection.dtype != dtype:
        saved.append(tape.new(WEIGHT, 0, dtype, size=_weight(projection, dtype)))
    with tape.temporary(LABELS, Size(token=BYTES["bool"] + 2 * BYTES["int64"] + 2 * BYTES["int32"])):
        pass  # the labels that count, as pairs of row and column, and these in 32 bit
    places = tape.new(LABELS, 1, "int64")
    sums = tape.new(PROBABILITIES, 1, "fp32")
    averages = tape.new(PROBABILITIES, 0, "fp32", size=Size(fixed=projection.outputs * BYTES["fp32"]))
    picked = tape.new(PROBABILITIES, 1, "fp32")
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)
    weight = tape.parameter(projection.elements, projection.gradient) if projection.trains else None

    def backward(tape: Tape, _: Buffer) -> Given:
        return _backward(tape, projection, states, dtype, weight)

    tape.node(result, backward, tape.save(*saved, places, sums, averages))
    tape.drop(normed, states, *saved, places, sums, averages, picked)
    return result


def _copied(tape: Tape, states: Buffer, dtype: str) -> Buffer:
    """Autocast's copies inside the function, which autograd does not see."""
    if states.dtype == dtype:
        return states
    return tape.new(HIDDEN, states.width, dtype, size=resized(states, dtype))


def _backward(tape: Tape, projection: LinearForm, states: Buffer, dtype: str, weight: Buffer | None) -> Given:
    """Sums of both gradients, the weight's only where it is trained; they are cast where a copy replaced the tensor."""
    entries = projection.outputs
    with tape.temporary(PROBABILITIES, Size(fixed=entries * (BYTES["fp32"] + BYTES["int64"]))):
        pass  # entries by their average logit: sorted values and indices
    given: Given = []
    with ExitStack() as alive:
        alive.enter_context(tape.temporary(PROBABILITIES, Size(fixed=entries * BYTES["int32"])))
        if states.dtype == dtype:
            given.append((states, tape.gradient(states)))
        else:
            alive.enter_context(tape.temporary(INCOMING, resized(states, dtype)))
        if weight is not None:
            alive.enter_context(tape.temporary(NEW_GRADIENT, _locks(projection)))
            given.append((weight, _weight_gradient(tape, projection, dtype, weight)))
        if states.dtype != dtype:
            given.append((states, tape.gradient(states)))
    return given


def _weight_gradient(tape: Tape, projection: LinearForm, dtype: str, weight: Buffer) -> Buffer:
    """The sum has the dtype of the product; its cast to the weight's dtype replaces it."""
    if projection.dtype == dtype:
        return tape.weight_gradient(weight, dtype)
    with tape.temporary(NEW_GRADIENT, _weight(projection, dtype)):
        return tape.weight_gradient(weight, projection.dtype)


def _weight(projection: LinearForm, dtype: str) -> Size:
    return Size(fixed=projection.elements * BYTES[dtype])


def _locks(projection: LinearForm) -> Size:
    """32 bits for each block of the weight's gradient; those of the hidden states' are a few bytes a token."""
    blocks = -(-projection.outputs // LOCKED_ENTRIES) * -(-projection.inputs // LOCKED_WIDTH)
    return Size(fixed=blocks * BYTES["int32"])
