"""The tapes of a model: its kinds of layers and its end, recorded once for an architecture and its dtypes."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.formula.layer import RESIDUAL, LayerForm, layer
from toolkit.memory.formula.logits import HeadForm, last_logits, loss
from toolkit.memory.tape import NOTHING, Alive, Buffer, Size, Tape

CHECKPOINTS = "layer_inputs"
GRADIENTS = "gradients"
CACHED = "autocast_copies"


@dataclass(frozen=True, slots=True)
class Program:
    """What a stretch of the model takes: within its forward pass, after it, and within its backward pass.

    `kept` is what stays after the forward pass while autocast lasts, `stored` what stays until the stretch's backward,
    `gradients` what its weights' gradients take in the end. A moment holds all that the stretch has alive then.
    """

    count: int
    forward: tuple[Alive, ...]
    kept: Alive
    stored: Alive
    backward: tuple[Alive, ...]
    gradients: Size


def record_layer(form: LayerForm, count: int, dtype: str, checkpointing: str) -> Program:
    """The program of one kind of layer, whose input has a dtype; `checkpointing` as in a setting."""
    if checkpointing == "false":
        tape, x, out = _pass(form, dtype, RESIDUAL, records=True)
        forward = tape.moments
        tape.drop(x, out)
        kept = tape.alive
        tape.unwind()
        stored = tape.alive
        return _finished(count, forward, kept, stored, tape, out)
    tape, x, out = _pass(form, dtype, CHECKPOINTS, records=False)
    forward = tape.moments
    tape.drop(out)
    kept = tape.alive
    stored = {CHECKPOINTS: x.size}
    again, out = _recomputed(form, dtype, reentrant=checkpointing == "reentrant")
    return _finished(count, forward, kept, stored, again, out, reentrant=checkpointing == "reentrant")


def record_inference(form: LayerForm, count: int, dtype: str) -> Program:
    """The program of one kind of layer under no_grad."""
    tape, _, _ = _pass(form, dtype, RESIDUAL, records=False)
    return Program(count, tape.moments, {}, {}, (), NOTHING)


def record_head(form: HeadForm, hidden: int, dtype: str) -> Program:
    """The program of the end of the model: final norm, logits, loss."""
    tape = Tape(records=True)
    x = tape.new(RESIDUAL, hidden, dtype, grad=True)
    out = loss(tape, x, form)
    forward = tape.moments
    tape.drop(out)
    kept = tape.alive
    tape.unwind()
    return _finished(1, forward, kept, tape.alive, tape, out)


def record_generation_head(form: HeadForm, hidden: int, dtype: str, *, all_positions: bool) -> Program:
    """The program of the end of the model when it generates."""
    tape = Tape(records=False)
    x = tape.new(RESIDUAL, hidden, dtype)
    last_logits(tape, x, form, all_positions=all_positions)
    return Program(1, tape.moments, {}, {}, (), NOTHING)


def _pass(form: LayerForm, dtype: str, row: str, *, records: bool, stop_after: int | None = None) -> tuple[Tape, Buffer, Buffer]:
    tape = Tape(records=records, stop_after=stop_after)
    x = tape.new(row, form.hidden, dtype, grad=True)
    return tape, x, layer(tape, x, form)


def _recomputed(form: LayerForm, dtype: str, *, reentrant: bool) -> tuple[Tape, Buffer]:
    """The forward pass of a checkpointed layer run again in backward, while its result's gradient is alive."""
    saves = None
    if not reentrant:
        counting, _, _ = _pass(form, dtype, CHECKPOINTS, records=True)
        saves = counting.saves
    tape = Tape(records=True, stop_after=saves)
    x = tape.new(CHECKPOINTS, form.hidden, dtype, grad=True)
    x.references += 1  # the checkpoint itself
    waiting = tape.fresh("activation_gradients", x.size, dtype, form.hidden)
    out = layer(tape, x, form)
    if reentrant:
        out.references += 1
    tape.unwind()
    tape.discard(waiting)
    return tape, out


def _finished(
    count: int,
    forward: tuple[Alive, ...],
    kept: Alive,
    stored: Alive,
    tape: Tape,
    out: Buffer,
    *,
    reentrant: bool = False,
) -> Program:
    gradient = tape.fresh("activation_gradients", out.size, out.dtype, out.width)
    if reentrant:
        gradient.references += 1  # the arguments of CheckpointFunction.backward hold it to the end
    before = tape.alive.get(GRADIENTS, NOTHING)
    tape.backward(out, gradient)
    return Program(count, forward, kept, stored, tape.moments, tape.alive.get(GRADIENTS, NOTHING).minus(before))
