"""The tapes of a model: its kinds of layers and its end, recorded once for an architecture and its dtypes."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.formula.layer import RESIDUAL, LayerForm, layer
from toolkit.memory.formula.logits import HeadForm, last_logits, loss
from toolkit.memory.tape import GRADIENTS, NOTHING, Alive, Buffer, Size, Tape

CHECKPOINTS = "layer_inputs"
INCOMING = "activation_gradients"


@dataclass(frozen=True, slots=True)
class Program:
    """What a stretch of the model takes: within its forward pass, after it, and within its backward pass.

    `kept` is what stays after the forward pass while autocast lasts, `stored` what stays until the stretch's backward,
    `gradients` what its weights' gradients take in the end, `result` the dtype of what it hands on. A moment holds all
    that the stretch has alive then.
    """

    count: int
    forward: tuple[Alive, ...]
    kept: Alive
    stored: Alive
    backward: tuple[Alive, ...]
    gradients: Size
    result: str


@dataclass(frozen=True, slots=True)
class Stream:
    """How a layer meets the residual stream: the dtype of its input, and whether a gradient flows to it.

    `checkpointing` is false, reentrant or non-reentrant; `accumulates` as of a tape.
    """

    dtype: str
    grad: bool
    checkpointing: str
    accumulates: bool


def record_layer(form: LayerForm, count: int, stream: Stream) -> Program:
    """The program of layers that are alike, in training."""
    if stream.checkpointing != "false":
        return _record_checkpointed(form, count, stream)
    tape = Tape(records=True, accumulates=stream.accumulates)
    x = tape.new(RESIDUAL, form.hidden, stream.dtype, grad=stream.grad)
    out = layer(tape, x, form)
    forward = tape.moments
    tape.drop(x, out)
    kept = tape.alive
    tape.unwind()
    stored = tape.alive
    backward, gradients = _backward(tape, out)
    return Program(count, forward, kept, stored, backward, gradients, out.dtype)


def _record_checkpointed(form: LayerForm, count: int, stream: Stream) -> Program:
    """Only the layer's input stays; in backward the layer runs again, while the gradient of its result waits."""
    first = Tape(records=False)
    x = first.new(CHECKPOINTS, form.hidden, stream.dtype)
    out = layer(first, x, form)
    forward = first.moments
    first.drop(out)
    reentrant = stream.checkpointing == "reentrant"
    tape = Tape(records=True, accumulates=stream.accumulates, stop_after=None if reentrant else _saves(form, stream))
    again = tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    again.references += 1  # the checkpoint itself
    waiting = tape.fresh(INCOMING, out.size, out.dtype)
    result = layer(tape, again, form)
    if reentrant:
        result.references += 1  # CheckpointFunction.backward holds the result until it ends
    tape.unwind()
    tape.discard(waiting)
    backward, gradients = _backward(tape, result, held=reentrant)
    return Program(count, forward, first.alive, {CHECKPOINTS: x.size}, backward, gradients, out.dtype)


def _saves(form: LayerForm, stream: Stream) -> int:
    """How many tensors a layer saves: where the last is saved, its recomputation ends."""
    tape = Tape(records=True)
    layer(tape, tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True), form)
    return tape.saves


def record_inference(form: LayerForm, count: int, dtype: str) -> Program:
    """The program of layers that are alike, under no_grad."""
    tape = Tape(records=False)
    out = layer(tape, tape.new(RESIDUAL, form.hidden, dtype), form)
    return Program(count, tape.moments, {}, {}, (), NOTHING, out.dtype)


def record_head(form: HeadForm, hidden: int, stream: Stream) -> Program:
    """The program of the end of the model in training: final norm, logits, loss."""
    tape = Tape(records=True, accumulates=stream.accumulates)
    out = loss(tape, tape.new(RESIDUAL, hidden, stream.dtype, grad=True), form)
    forward = tape.moments
    tape.drop(out)
    kept = tape.alive
    tape.unwind()
    stored = tape.alive
    backward, gradients = _backward(tape, out)
    return Program(1, forward, kept, stored, backward, gradients, out.dtype)


def record_generation_head(form: HeadForm, hidden: int, dtype: str, *, all_positions: bool) -> Program:
    """The program of the end of the model when it generates."""
    tape = Tape(records=False)
    last_logits(tape, tape.new(RESIDUAL, hidden, dtype), form, all_positions=all_positions)
    return Program(1, tape.moments, {}, {}, (), NOTHING, dtype)


def _backward(tape: Tape, out: Buffer, *, held: bool = False) -> tuple[tuple[Alive, ...], Size]:
    """The moments of the backward pass, and the gradients of weights that it leaves."""
    gradient = tape.fresh(INCOMING, out.size, out.dtype, out.width)
    if held:
        gradient.references += 1  # as one of the arguments of CheckpointFunction.backward
    tape.backward(out, gradient)
    return tape.moments, tape.alive.get(GRADIENTS, NOTHING)
