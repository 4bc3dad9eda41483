"""The tapes of a model: its kinds of layers and its end, recorded once for an architecture and its dtypes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.follow import AnyHead, AnyLayer, follow_layer, follow_logits, follow_loss
from toolkit.memory.formula.layer import RESIDUAL, LayerForm
from toolkit.memory.formula.mixture import MixtureForm
from toolkit.memory.peaks import ALONE, Peaks, amounts
from toolkit.memory.size import NOTHING, Alive, Amounts, Parts, Size
from toolkit.memory.tape import GRADIENTS, INCOMING, Tape

CHECKPOINTS = "layer_inputs"

MAX_RECORDED = 4096
"""Programs that are kept: layers and ends are the same for many settings of a model."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a stretch of the model takes: within its forward pass, after it, and within its backward pass.

    `kept` is what stays after the forward pass while autocast lasts, `stored` what stays until the stretch's backward,
    and `pinned` what of it stays until all of backward is done; `gradients` is what its weights' gradients take in the
    end, `result` the dtype of what it hands on, `input` the size of its input unless that is kept anyway. A moment
    holds all that the stretch has alive then.
    """

    count: int
    forward: Peaks
    kept: Amounts
    stored: Amounts
    backward: Peaks
    gradients: Parts
    result: str
    pinned: Amounts = field(default_factory=dict)
    input: Size = NOTHING


@dataclass(frozen=True, slots=True)
class Stream:
    """How a layer meets the residual stream: the dtype of its input, and whether a gradient flows to it.

    `checkpointing` is false, reentrant or non-reentrant; `accumulates` as of a tape.
    """

    dtype: str
    grad: bool
    checkpointing: str
    accumulates: bool


def record_layer(form: AnyLayer, count: int, stream: Stream) -> Program:
    """The program of layers that are alike, in training."""
    return replace(_record_one(form, stream), count=count)


@lru_cache(maxsize=MAX_RECORDED)
def _record_one(form: AnyLayer, stream: Stream) -> Program:
    if stream.checkpointing != "false":
        return _record_checkpointed(form, stream)
    tape = Tape(records=True, accumulates=stream.accumulates)
    x = tape.new(RESIDUAL, form.hidden, stream.dtype, grad=stream.grad)
    out = follow_layer(tape, x, form)
    tape.drop(x)
    given = NOTHING if x.references else x.size
    return replace(_with_backward(tape, out), pinned=amounts(tape.pinned), input=given)


def _with_backward(tape: Tape, out: Buffer) -> Program:
    """The program of a stretch whose forward pass is on a tape; its backward follows here."""
    forward = _peaks(tape)
    tape.drop(out)
    kept = amounts(tape.alive)
    tape.unwind()
    stored = amounts(tape.alive)
    tape.backward(out)
    return Program(1, forward, kept, stored, _peaks(tape), _gradients(tape), out.dtype)


def _peaks(tape: Tape) -> Peaks:
    return Peaks.of(map(amounts, tape.moments))


def _gradients(tape: Tape) -> Parts:
    return tape.alive.get(GRADIENTS, NOTHING).parts()


@dataclass(frozen=True, slots=True)
class _FirstPass:
    """The first pass through a checkpointed layer: what it takes and leaves, and how many tensors it would save."""

    forward: Peaks
    kept: Amounts
    stored: Amounts
    pinned: Alive
    result: Buffer
    saves: int


@lru_cache(maxsize=MAX_RECORDED)
def _first_pass(form: AnyLayer, dtype: str, *, pins: bool) -> _FirstPass:
    tape = Tape(records=False, pins=pins)
    x = tape.new(CHECKPOINTS, form.hidden, dtype, grad=True)
    x.references += 1  # the checkpoint itself
    out = follow_layer(tape, x, form)
    forward = _peaks(tape)
    tape.drop(out)
    kept = amounts(tape.alive)
    tape.unwind()
    return _FirstPass(forward, kept, amounts(tape.alive), tape.pinned, out, tape.saves)


def _record_checkpointed(form: AnyLayer, stream: Stream) -> Program:
    """Only the layer's input stays; in backward the layer runs again, while the gradient of its result waits.

    What a node keeps as an attribute stays too, where the first pass has a graph: without reentry.
    """
    reenters = stream.checkpointing == "reentrant"
    first = _first_pass(form, stream.dtype, pins=not reenters)
    tape = (_run_again if reenters else _deferred)(form, stream, first)
    backward, gradients, pinned = _peaks(tape), _gradients(tape), amounts(first.pinned)
    return Program(1, first.forward, first.kept, first.stored, backward, gradients, first.result.dtype, pinned)


def _deferred(form: AnyLayer, stream: Stream, first: _FirstPass) -> Tape:
    """Non-reentrant: the layer runs again within its backward, when the first tensor it saved is asked for."""
    tape = Tape(records=True, accumulates=stream.accumulates)
    for row, size in first.pinned.items():
        tape.fresh(row, size, stream.dtype)
    again = tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    again.references += 1  # the checkpoint itself
    tape.defer(first.saves)
    result = follow_layer(tape, again, form)
    tape.unwind()
    tape.backward(result)
    return tape


def _run_again(form: AnyLayer, stream: Stream, first: _FirstPass) -> Tape:
    """Reentrant: CheckpointFunction.backward runs the layer, and holds its result and gradient to the end."""
    tape = Tape(records=True, accumulates=stream.accumulates)
    again = tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    again.references += 1
    gradient = tape.fresh(INCOMING, first.result.size, stream.dtype)
    result = follow_layer(tape, again, form)
    gradient.references += 1
    gradient.dtype = result.dtype
    result.references += 1
    tape.unwind()
    tape.backward(result, gradient)
    return tape


def record_inference(form: AnyLayer, count: int, dtype: str) -> Program:
    """The program of layers that are alike, under no_grad."""
    tape = Tape(records=False, trains=False)
    x = tape.new(RESIDUAL, form.hidden, dtype)
    out = follow_layer(tape, x, form)
    return replace(_without_graph(tape, out.dtype), count=count, input=x.size)


def record_decoding(form: AnyLayer, count: int, dtype: str) -> Program:
    """The same where one token of each sequence goes through: a fused mixture copies the experts that are chosen."""
    if isinstance(form, LayerForm) and isinstance(form.feed_forward, MixtureForm) and not form.feed_forward.looped:
        form = replace(form, feed_forward=replace(form.feed_forward, batched=True))
    return record_inference(form, count, dtype)


def _without_graph(tape: Tape, result: str) -> Program:
    return Program(1, _peaks(tape), {}, {}, ALONE, NOTHING, result)


@lru_cache(maxsize=MAX_RECORDED)
def record_head(form: AnyHead, hidden: int, stream: Stream) -> Program:
    """The program of the end of the model in training: final norm, logits, loss."""
    tape = Tape(records=True, accumulates=stream.accumulates)
    return _with_backward(tape, follow_loss(tape, tape.new(RESIDUAL, hidden, stream.dtype, grad=True), form))


@lru_cache(maxsize=MAX_RECORDED)
def record_generation_head(form: AnyHead, hidden: int, dtype: str) -> Program:
    """The program of the end of the model when it generates."""
    tape = Tape(records=False, trains=False)
    follow_logits(tape, tape.new(RESIDUAL, hidden, dtype), form)
    return _without_graph(tape, dtype)
