"""Losses that never form all logits: TRL's chunked_nll, and Liger's fused linear cross-entropy."""

from __future__ import annotations

from contextlib import ExitStack

from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.linear_form import LinearForm
from toolkit.memory.formula.logits import FLOAT, GRADIENT, LABELS, LOGITS, PROBABILITIES, HeadForm
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import Given, part_of
from toolkit.memory.gradients import GRADIENTS, NEW_GRADIENT
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape import Tape

HIDDEN = "loss_hidden_states"
WEIGHT = "loss_weight_copy"

CHUNK_TOKENS = 256
"""Tokens for which chunked_nll forms logits at a time (trl/trainer/sft_trainer.py, since 1.4)."""


def fused_chunk(tokens: int, hidden: int, vocabulary: int) -> int:
    """Tokens that Liger takes at a time: a power of two, so that their logits are about as large as its input.

    Source: liger_kernel/ops/fused_linear_cross_entropy.py.
    """
    pieces = -(-vocabulary // hidden)
    return 1 << (max(-(-tokens // pieces), 1) - 1).bit_length()


def chunked_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """chunked_nll: hidden states gathered once, then float32 logits for a chunk at a time, under checkpointing."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    order = tape.new(LABELS, 2, "int64")
    gathered = tape.new(HIDDEN, normed.width, normed.dtype, grad=True)

    def scatter(tape: Tape, _: Buffer) -> Given:
        return [(normed, tape.gradient(normed))]

    tape.node(gathered, scatter, tape.save(order))
    with tape.temporary(WEIGHT, _wide_weight(form.projection)), tape.temporary(FLOAT, _logits(form, 1)):
        pass
    with tape.temporary(FLOAT, _logits(form, 4)):  # logits, log-softmax, its exponential, the product for the entropy
        result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        given = tape.gradient(gathered)
        _chunk_backward(tape, gathered, form)
        return [(gathered, given)]

    tape.node(result, backward, tape.save(gathered))
    tape.drop(normed, gathered, order)
    return result


def _chunk_backward(tape: Tape, gathered: Buffer, form: HeadForm) -> None:
    """A chunk runs again and backward: what it saved, two gradients of its logits, those of the weight, a slice's."""
    projection = form.projection
    with ExitStack() as alive:
        alive.enter_context(tape.temporary(HIDDEN, Size(chunk=projection.inputs * BYTES["fp32"])))
        alive.enter_context(tape.temporary(WEIGHT, _wide_weight(projection)))
        with tape.temporary(PROBABILITIES, _logits(form, 2)), tape.temporary(GRADIENT, _logits(form, 2)):
            pass
        if projection.trains:
            with tape.temporary(GRADIENT, _logits(form, 1)):
                _weight_gradient(tape, projection)
    with tape.temporary(
        "activation_gradients", gathered.size
    ):  # each chunk's gradient is put into a tensor of all tokens
        pass


def _weight_gradient(tape: Tape, projection: LinearForm) -> None:
    """The float32 gradient of the weight from one chunk, beside the sum of those of the chunks before."""
    kept = Size(fixed=projection.elements * BYTES[projection.gradient])
    tape.fresh(NEW_GRADIENT if tape.accumulates else GRADIENTS, kept, projection.gradient)
    with tape.temporary(NEW_GRADIENT, Size(fixed=projection.elements * BYTES["fp32"])):
        pass


def fused_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Liger: the forward pass makes the gradients of hidden states and weight, one chunk of logits at a time."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    projection = form.projection
    given = tape.new(HIDDEN, normed.width, normed.dtype)
    saved = [given]
    working = Size(chunk=projection.outputs * BYTES[projection.dtype])
    if projection.trains:
        own = Size(fixed=projection.elements * BYTES[projection.gradient])
        saved.append(tape.new(NEW_GRADIENT if tape.accumulates else GRADIENTS, 0, projection.gradient, size=own))
    with tape.temporary(LOGITS, working), ExitStack() as alive:
        if projection.trains:
            alive.enter_context(tape.temporary(NEW_GRADIENT, Size(fixed=projection.elements * BYTES[projection.dtype])))
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        given.references += 1
        for weight in saved[1:]:
            weight.references += 0 if tape.accumulates else 1
        return [(normed, given)]

    tape.node(result, backward, tape.save(*saved))
    tape.drop(normed, *saved)
    return result


def fused_wide_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Liger before 0.5, on all hidden states but the last: a chunk's logits are made float32, and short again.

    Meanwhile the gradient of the chunk before still has its name. The gradient of a weight is summed up in place.
    """
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    projection = form.projection
    source = part_of(tape, normed, normed.width, copies=form.shifts == "copies") if form.shifts else normed
    given = tape.new(HIDDEN, normed.width, normed.dtype, size=normed.size)
    saved = [given]
    if projection.trains:
        own = Size(fixed=projection.elements * BYTES[projection.gradient])
        saved.append(tape.new(NEW_GRADIENT if tape.accumulates else GRADIENTS, 0, projection.gradient, size=own))
    widths = BYTES["fp32"] + 2 * BYTES[projection.autocast or projection.dtype]
    with tape.temporary(LOGITS, Size(chunk=projection.outputs * widths)):
        pass
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        given.references += 1
        for weight in saved[1:]:
            weight.references += 0 if tape.accumulates else 1
        return [(source, given)]

    tape.node(result, backward, tape.save(*saved))
    tape.drop(normed, source, *saved)
    return result


def _wide_weight(projection: LinearForm) -> Size:
    """A float32 copy of the output weight, unless that is what it is."""
    return Size(fixed=0 if projection.dtype == "fp32" else projection.elements * BYTES["fp32"])


def _logits(form: HeadForm, count: int) -> Size:
    """`count` float32 tensors of the size of a chunk's logits."""
    return Size(chunk=count * form.projection.outputs * BYTES["fp32"])
