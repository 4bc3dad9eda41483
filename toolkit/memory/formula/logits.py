"""From the last layer's result to the loss: final norm, output projection, cross-entropy. V = the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.formula.linear import LinearForm, linear
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, cast
from toolkit.memory.tape import BYTES, Buffer, Size, Tape

LOGITS = "logits"
FLOAT = "logits_float32"
PROBABILITIES = "log_probabilities"
GRADIENT = "logits_gradient"


@dataclass(frozen=True, slots=True)
class HeadForm:
    """The end of a causal language model, and how the loss copies the logits in the version of transformers.

    `upcasts_early`: before 4.45 the model itself made the logits float32 and let the 16-bit ones go.
    `shifts`: before 4.50 the loss was taken on a shifted, contiguous copy.
    """

    norm: NormForm
    projection: LinearForm
    softcap: bool = False
    upcasts_early: bool = False
    shifts: bool = False


def loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """The loss; the caller keeps `x`. The logits stay until the model's forward returns."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    logits = linear(tape, normed, form.projection, LOGITS)
    floats = cast(tape, logits, "fp32", FLOAT)
    if form.upcasts_early and floats is not logits:
        tape.drop(logits)
    labels = tape.new("token_ids", 2, "int64")  # padded by one, then shifted into a contiguous copy
    source = _shifted(tape, floats) if form.shifts else floats
    result = _cross_entropy(tape, source)
    tape.drop(normed, source, floats, logits, labels)
    return result


def _shifted(tape: Tape, x: Buffer) -> Buffer:
    """logits[:, :-1].contiguous(); its gradient is put back into a tensor of all positions."""
    result = tape.new(FLOAT, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.fresh(GRADIENT, x.size, x.dtype, x.width))]

    return tape.node(result, backward)


def _cross_entropy(tape: Tape, x: Buffer) -> Buffer:
    """log_softmax (saved) and nll_loss: backward makes two float32 gradients of the logits' size, one after the other."""
    saved_probabilities = tape.new(PROBABILITIES, x.width, "fp32", grad=True, size=x.size)

    def softmax_backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.fresh(GRADIENT, x.size, x.dtype, x.width))]

    tape.node(saved_probabilities, softmax_backward, tape.save(saved_probabilities))
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def loss_backward(tape: Tape, _: Buffer) -> Given:
        return [(saved_probabilities, tape.fresh(GRADIENT, x.size, "fp32", x.width))]

    tape.node(result, loss_backward, tape.save(saved_probabilities))
    tape.drop(saved_probabilities)
    return result


def last_logits(tape: Tape, x: Buffer, form: HeadForm, *, all_positions: bool) -> None:
    """The logits that choose the next token, and their float32 copy, while the model's result is still held.

    `all_positions`: before 4.45, transformers formed them for the whole prompt, and all in float32.
    """
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    dtype = form.projection.dtype
    width = form.projection.outputs
    if all_positions:
        logits = tape.new(LOGITS, width, dtype)
        floats = tape.new(FLOAT, width, "fp32")
        tape.drop(logits)
    else:
        tape.new(LOGITS, 0, dtype, size=Size(sequence=width * BYTES[dtype]))
        floats = tape.new(FLOAT, 0, "fp32", size=Size(sequence=width * BYTES["fp32"]))
    tape.drop(normed, floats)
