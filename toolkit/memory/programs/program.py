"""The tapes of a model: its kinds of layers and its end, recorded once for an architecture and its dtypes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from functools import lru_cache, partial

from toolkit.frozen import frozen
from toolkit.memory.formula.block import BlockForm
from toolkit.memory.formula.caches.cached import KEEPS, READS
from toolkit.memory.formula.experts.mixture import MixtureForm
from toolkit.memory.formula.follow import (
    AnyHead,
    AnyLayer,
    follow_layer,
    follow_logits,
    follow_loss,
    follow_named,
    length_of,
    names_logits,
)
from toolkit.memory.formula.layer import RESIDUAL, LayerForm
from toolkit.memory.size import NOTHING, Alive, Amounts, Parts, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING
from toolkit.memory.tape.keeping import Keeping
from toolkit.memory.tape.peaks import ALONE, Peaks, amounts
from toolkit.memory.tape.tape import Tape
from toolkit.memory.weights.backward import SELECTIVE, TO_THE_END

CHECKPOINTS = "layer_inputs"

MAX_RECORDED = 4096
"""Programs that are kept: layers and ends are the same for many settings of a model."""


@frozen
class Program:
    """What a stretch of the model takes: within its forward pass, after it, and within its backward pass.

    `kept` is what stays after the forward pass while autocast lasts, `stored` what stays until the stretch's backward,
    and `pinned` what of it stays until all of backward is done; `gradients` is what its weights' gradients take in the
    end, `result` the dtype of what it hands on, `input` the size of its input unless that is kept anyway. A moment
    holds all that the stretch has alive then. `origin` is what its events can be written down from again.
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
    origin: Origin | None = None


@frozen
class Origin:
    """What a program was recorded from; `hidden` is the width of its input, `cache` as of a tape.

    `loses`: an end without gradients goes on to the loss.
    """

    form: AnyLayer | AnyHead
    stream: Stream
    hidden: int
    trains: bool = True
    cache: str = ""
    loses: bool = False


@frozen
class Stream:
    """How a layer meets the residual stream: the dtype of its input, and whether a gradient flows to it.

    `checkpointing` is as in numerics, `accumulates` as in a tape; `steps`, `sums` and `sum_sizes` are as in gradients.
    `caches` says that a checkpointed layer gives its keys to a cache, which the model's result holds. `named` is what
    becomes of keys (formula/caches/cached.py) where the training loop keeps that result until the next pass is done.
    In a pipeline the input of a stage's first layer is `received` in a buffer, and so is the gradient of what its last
    layer `sends`; these buffers are counted elsewhere, and stay. `fetches` says that a checkpoint's input comes from
    main memory, and that what came before it goes once the layer's first node is done.
    """

    dtype: str
    grad: bool
    checkpointing: str
    accumulates: bool
    caches: bool = False
    named: str = ""
    steps: int | None = None
    sums: str = ""
    sum_sizes: tuple[Size, ...] = ()
    fetches: bool = False
    received: bool = False
    sends: bool = False

    @property
    def chooses(self) -> bool:
        """Whether the checkpoint keeps the results of some operations."""
        return self.checkpointing.startswith(SELECTIVE)

    @property
    def lasts(self) -> bool:
        """Whether a recomputed layer runs to its end."""
        return self.checkpointing.endswith(TO_THE_END)


def record_layer(form: AnyLayer, count: int, stream: Stream) -> Program:
    """The program of `count` equal layers in training."""
    return replace(_record_one(form, stream), count=count, origin=Origin(form, stream, form.hidden))


@lru_cache(maxsize=MAX_RECORDED)
def _record_one(form: AnyLayer, stream: Stream) -> Program:
    if stream.checkpointing != "false":
        return _record_checkpointed(form, stream)
    tape = _tape(stream, length_of(form))
    tape.cache = stream.named
    x = _given(tape, stream)(RESIDUAL, form.hidden, stream.dtype, grad=stream.grad)
    out = follow_layer(tape, x, form)
    tape.drop(x)
    given = NOTHING if x.references else x.size
    return replace(_with_backward(tape, out, sends=stream.sends), pinned=amounts(tape.pinned), input=given)


def begun_sums(form: AnyLayer, stream: Stream) -> tuple[Size, ...]:
    """The sizes of the sums that the last of layers with the same weights begins, in turn."""
    tape = _tape(stream, length_of(form))
    out = follow_layer(tape, tape.new(RESIDUAL, form.hidden, stream.dtype, grad=stream.grad), form)
    tape.unwind()
    tape.backward(out)
    return tuple(one.size for one in tape.sum_of)


def _given(tape: Tape, stream: Stream) -> Callable[..., Buffer]:
    """What makes the input of a layer."""
    return tape.elsewhere if stream.received else tape.new


def _tape(stream: Stream, length: int = 0) -> Tape:
    tape = Tape(records=True, accumulates=stream.accumulates, length=length)
    tape.steps, tape.sums, tape.sum_sizes = stream.steps, stream.sums, stream.sum_sizes
    return tape


def _with_backward(tape: Tape, out: Buffer, *, sends: bool = False) -> Program:
    """The program of a stretch whose forward pass is on a tape; its backward follows here."""
    forward = _peaks(tape)
    tape.drop(out)
    kept = amounts(tape.alive)
    tape.unwind()
    stored = amounts(tape.alive)
    tape.begin()
    tape.backward(out, _received_gradient(tape, out) if sends else None)
    return Program(1, forward, kept, stored, _peaks(tape), _gradients(tape), out.dtype)


def _received_gradient(tape: Tape, out: Buffer) -> Buffer:
    """The gradient of what a stage sent, in the buffer that it comes in."""
    return tape.elsewhere(INCOMING, out.width, out.dtype)


def _peaks(tape: Tape) -> Peaks:
    return Peaks.of(map(amounts, tape.moments))


def _gradients(tape: Tape) -> Parts:
    return tape.alive.get(GRADIENTS, NOTHING).parts()


@frozen
class _FirstPass:
    """The first pass through a checkpointed layer: what it takes and leaves, and how many tensors it would save."""

    forward: Peaks
    kept: Amounts
    stored: Amounts
    pinned: Alive
    result: Buffer
    saves: int
    chosen: tuple[Buffer, ...] | None
    beside: tuple[Buffer, ...] = ()


@lru_cache(maxsize=MAX_RECORDED)
def _first_pass(
    form: AnyLayer, dtype: str, *, pins: bool, chooses: bool = False, cache: str = "", received: bool = False
) -> _FirstPass:
    tape = Tape(records=False, pins=pins, length=length_of(form))
    tape.cache = cache
    tape.chosen = [] if chooses else None
    x = (tape.elsewhere if received else tape.new)(CHECKPOINTS, form.hidden, dtype, grad=True)
    x.references += 1  # the checkpoint itself
    out = follow_layer(tape, x, form)
    forward = _peaks(tape)
    tape.drop(out)
    kept = amounts(tape.alive)
    tape.unwind()
    chosen = None if tape.chosen is None else tuple(tape.chosen)
    return _FirstPass(forward, kept, amounts(tape.alive), tape.pinned, out, tape.saves, chosen, tuple(tape.beside))


def _record_checkpointed(form: AnyLayer, stream: Stream) -> Program:
    """Only the layer's input stays; in backward the layer runs again, while the gradient of its result waits.

    What a node keeps as an attribute stays too, where the first pass has a graph: without reentry.
    """
    reenters = stream.checkpointing == "reentrant"
    once = partial(_first_pass, form, stream.dtype, pins=not reenters, received=stream.received)
    first = once(chooses=stream.chooses)
    tape = (_run_again if reenters else _deferred)(form, stream, first)
    backward, gradients, pinned = _peaks(tape), _gradients(tape), amounts(first.pinned)
    there = once(cache=KEEPS) if stream.caches else first
    return Program(1, there.forward, there.kept, first.stored, backward, gradients, first.result.dtype, pinned)


def _deferred(form: AnyLayer, stream: Stream, first: _FirstPass) -> Tape:
    """Non-reentrant: the layer runs again within its backward, when the first tensor it saved is asked for."""
    tape = _tape(stream, length_of(form))
    for row, size in first.pinned.items():
        tape.fresh(row, size, stream.dtype)
    again = _given(tape, stream)(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    again.references += 1  # the checkpoint itself
    if first.chosen is not None:
        tape.chosen = [tape.fresh(one.row, one.size, one.dtype, one.width) for one in first.chosen]
    if stream.fetches:
        tape.fetched = tape.fresh(CHECKPOINTS, again.size, stream.dtype)
    tape.defer(first.saves + stream.lasts)
    result = follow_layer(tape, again, form)
    tape.unwind()
    tape.backward(result, _received_gradient(tape, result) if stream.sends else None)
    return tape


def _run_again(form: AnyLayer, stream: Stream, first: _FirstPass) -> Tape:
    """Reentrant: CheckpointFunction.backward runs the layer, and holds its result and gradient to the end."""
    tape = _tape(stream, length_of(form))
    again = _given(tape, stream)(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    again.references += 1
    tape.leaf = again
    fresh = tape.fresh(INCOMING, first.result.size, stream.dtype) if not stream.sends else None
    gradient = fresh or _received_gradient(tape, first.result)
    # Of what a layer gives beside its result torch fills in zeros (autograd.Function, set_materialize_grads).
    zeros = [tape.gradient(one) for one in first.beside]
    result = follow_layer(tape, again, form)
    gradient.references += 1
    gradient.dtype = result.dtype
    for one in (result, *tape.beside):
        one.references += 1
    for one, zero in zip(tape.beside, zeros, strict=True):
        zero.references += 1
        tape.waiting[id(one)] = zero
    tape.unwind()
    tape.backward(result, gradient)
    return tape


def inputs_of(layers: tuple[Program, ...], named: int) -> Size:
    """The inputs of the first layer and of those that follow it, so many in all, unless they are kept anyway."""
    return layers[0].input.times(min(named, 1)).plus(layers[-1].input.times(max(named - 1, 0)))


def given_dtype(form: AnyLayer, dtype: str) -> str:
    """The dtype of what a layer is given: of a wide stream float32, whatever the embeddings are."""
    return "fp32" if isinstance(form, BlockForm) and form.wide else dtype


def record_inference(
    form: AnyLayer, count: int, dtype: str, cache: str = "", keeping: Keeping | None = None
) -> Program:
    """The program of layers that are alike, under no_grad; `cache` and `keeping` as of a tape."""
    tape = Tape(records=False, trains=False, length=length_of(form))
    tape.cache, tape.keeping = cache, keeping
    x = tape.new(RESIDUAL, form.hidden, dtype)
    out = follow_layer(tape, x, form)
    program = _without_graph(tape, out.dtype)
    tape.drop(out, x)
    origin = Origin(form, _without_gradients(dtype), form.hidden, trains=False, cache=cache)
    return replace(program, count=count, input=x.size, kept=amounts(tape.alive), origin=origin)


def record_decoding(
    form: AnyLayer, count: int, dtype: str, *, copies_experts: bool, keeping: Keeping | None = None
) -> Program:
    """The same where one token of each sequence goes through: a fused mixture copies the experts that are chosen."""
    if copies_experts and isinstance(form, LayerForm) and form.beside is not None:
        form = replace(form, beside=replace(form.beside, mixture=replace(form.beside.mixture, batched=True)))
    if copies_experts and isinstance(form, LayerForm) and isinstance(form.feed_forward, MixtureForm):
        mixture = form.feed_forward
        form = replace(form, feed_forward=replace(mixture, batched=not mixture.looped))
    if copies_experts and isinstance(form, BlockForm) and isinstance(form.part, MixtureForm):
        form = replace(form, part=replace(form.part, batched=not form.part.looped))
    return replace(record_inference(form, count, dtype, READS, keeping), kept={})


def _without_graph(tape: Tape, result: str) -> Program:
    return Program(1, _peaks(tape), {}, {}, ALONE, NOTHING, result)


@lru_cache(maxsize=MAX_RECORDED)
def record_head(form: AnyHead, hidden: int, stream: Stream) -> Program:
    """The program of the end of the model in training: final norm, logits, loss."""
    tape = _tape(stream)
    program = _with_backward(tape, follow_loss(tape, tape.new(RESIDUAL, hidden, stream.dtype, grad=True), form))
    return replace(program, origin=Origin(form, stream, hidden), pinned=amounts(tape.pinned))


@lru_cache(maxsize=MAX_RECORDED)
def record_logits(form: AnyHead, hidden: int, stream: Stream) -> Program | None:
    """The end of the model up to its logits, where the training loop has a name for these; else none."""
    if not names_logits(form):
        return None
    tape = Tape(records=True)
    follow_named(tape, tape.new(RESIDUAL, hidden, stream.dtype, grad=True), form)
    return _without_graph(tape, stream.dtype)


@lru_cache(maxsize=MAX_RECORDED)
def record_generation_head(form: AnyHead, hidden: int, dtype: str) -> Program:
    """The program of the end of the model when it generates."""
    tape = Tape(records=False, trains=False)
    follow_logits(tape, tape.new(RESIDUAL, hidden, dtype), form)
    origin = Origin(form, _without_gradients(dtype), hidden, trains=False)
    return replace(_without_graph(tape, dtype), origin=origin)


@lru_cache(maxsize=MAX_RECORDED)
def record_loss(form: AnyHead, hidden: int, dtype: str) -> Program:
    """The program of the end of the model up to its loss, under no_grad."""
    tape = Tape(records=False, trains=False)
    tape.drop(follow_loss(tape, tape.new(RESIDUAL, hidden, dtype), form))
    origin = Origin(form, _without_gradients(dtype), hidden, trains=False, loses=True)
    return replace(_without_graph(tape, dtype), origin=origin)


def _without_gradients(dtype: str) -> Stream:
    return Stream(dtype, grad=False, checkpointing="false", accumulates=False)
