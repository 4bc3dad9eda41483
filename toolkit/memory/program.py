"""The tapes of a model: its kinds of layers and its end, recorded once for an architecture and its dtypes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from toolkit.memory.formula.chunked_loss import chunked_loss, fused_loss
from toolkit.memory.formula.layer import RESIDUAL, LayerForm, layer
from toolkit.memory.formula.logits import HeadForm, last_logits, whole_loss
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import NOTHING, Alive, Size
from toolkit.memory.tape import GRADIENTS, INCOMING, Tape

CHECKPOINTS = "layer_inputs"

MAX_RECORDED = 4096
"""Programs that are kept: layers and ends are the same for many settings of a model."""

LOSSES = {"cross-entropy": whole_loss, "chunked": chunked_loss, "fused": fused_loss}
"""The implementations of the loss that a stack may name."""


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
    return replace(_record_one(form, stream), count=count)


@lru_cache(maxsize=MAX_RECORDED)
def _record_one(form: LayerForm, stream: Stream) -> Program:
    if stream.checkpointing != "false":
        return _record_checkpointed(form, stream)
    tape = Tape(records=True, accumulates=stream.accumulates)
    x = tape.new(RESIDUAL, form.hidden, stream.dtype, grad=stream.grad)
    out = layer(tape, x, form)
    forward = tape.moments
    tape.drop(x, out)
    kept = tape.alive
    tape.unwind()
    stored = tape.alive
    tape.backward(out)
    gradients = tape.alive.get(GRADIENTS, NOTHING)
    return Program(1, forward, kept, stored, tape.moments, gradients, out.dtype)


def _record_checkpointed(form: LayerForm, stream: Stream) -> Program:
    """Only the layer's input stays; in backward the layer runs again, while the gradient of its result waits."""
    first = Tape(records=False)
    x = first.new(CHECKPOINTS, form.hidden, stream.dtype)
    out = layer(first, x, form)
    forward = first.moments
    first.drop(out)
    tape = (_run_again if stream.checkpointing == "reentrant" else _deferred)(form, stream)
    gradients = tape.alive.get(GRADIENTS, NOTHING)
    return Program(1, forward, first.alive, {CHECKPOINTS: x.size}, tape.moments, gradients, out.dtype)


def _deferred(form: LayerForm, stream: Stream) -> Tape:
    """Non-reentrant: the layer runs again within its backward, when the first tensor it saved is asked for."""
    tape = Tape(records=True, accumulates=stream.accumulates)
    again = tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    again.references += 1  # the checkpoint itself
    tape.defer(_saves(form, stream))
    result = layer(tape, again, form)
    tape.unwind()
    tape.backward(result)
    return tape


def _run_again(form: LayerForm, stream: Stream) -> Tape:
    """Reentrant: CheckpointFunction.backward runs the layer, and holds its result and gradient to the end."""
    tape = Tape(records=True, accumulates=stream.accumulates)
    again = tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    again.references += 1
    gradient = tape.fresh(INCOMING, _result_size(form, stream), stream.dtype)
    result = layer(tape, again, form)
    gradient.references += 1
    gradient.dtype = result.dtype
    result.references += 1
    tape.unwind()
    tape.backward(result, gradient)
    return tape


def _result_size(form: LayerForm, stream: Stream) -> Size:
    """The size of what a layer hands on."""
    tape = Tape(records=False)
    return layer(tape, tape.new(CHECKPOINTS, form.hidden, stream.dtype), form).size


def _saves(form: LayerForm, stream: Stream) -> int:
    """How many tensors a layer saves: where the last is saved, its recomputation ends."""
    tape = Tape(records=True)
    layer(tape, tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True), form)
    return tape.saves


def record_inference(form: LayerForm, count: int, dtype: str) -> Program:
    """The program of layers that are alike, under no_grad."""
    tape = Tape(records=False, trains=False)
    out = layer(tape, tape.new(RESIDUAL, form.hidden, dtype), form)
    return Program(count, tape.moments, {}, {}, (), NOTHING, out.dtype)


@lru_cache(maxsize=MAX_RECORDED)
def record_head(form: HeadForm, hidden: int, stream: Stream) -> Program:
    """The program of the end of the model in training: final norm, logits, loss."""
    tape = Tape(records=True, accumulates=stream.accumulates)
    loss = LOSSES.get(form.loss)
    if loss is None:
        raise UnsupportedRow("logits", f"no formula for the loss {form.loss!r}; known: {', '.join(LOSSES)}")
    out = loss(tape, tape.new(RESIDUAL, hidden, stream.dtype, grad=True), form)
    forward = tape.moments
    tape.drop(out)
    kept = tape.alive
    tape.unwind()
    stored = tape.alive
    tape.backward(out)
    gradients = tape.alive.get(GRADIENTS, NOTHING)
    return Program(1, forward, kept, stored, tape.moments, gradients, out.dtype)


@lru_cache(maxsize=MAX_RECORDED)
def record_generation_head(form: HeadForm, hidden: int, dtype: str) -> Program:
    """The program of the end of the model when it generates."""
    tape = Tape(records=False, trains=False)
    last_logits(tape, tape.new(RESIDUAL, hidden, dtype), form)
    return Program(1, tape.moments, {}, {}, (), NOTHING, dtype)
