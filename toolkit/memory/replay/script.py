"""The events of one layer, or of the end of a model, in the order in which its code and autograd cause them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from toolkit.frozen import frozen, frozen_by_identity
from toolkit.memory.formula.embeddings import embed
from toolkit.memory.formula.follow import AnyHead, AnyLayer, follow_layer, follow_logits, follow_loss, length_of
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.programs.program import CHECKPOINTS, MAX_RECORDED, Origin, Stream
from toolkit.memory.programs.programs import Opening
from toolkit.memory.replay.log import Change, LoggedTape
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING

Changes = tuple[Change, ...]


@frozen_by_identity
class Pass:
    """Events of one tape: keys of the tensor that comes in, and of the one that is handed on (None: none is).

    `foreign` are the keys of tensors that were made elsewhere, so that their allocation is none.
    """

    events: Changes
    given: int | None
    result: int | None
    foreign: frozenset[int] = frozenset()


@frozen
class Script:
    """A stretch: forward; what happens when the outermost function returns (`leaving`); backward, where there is one.

    In `forward` the input comes in and the result goes on, in `backward` the gradients of result and input. Where
    `apart` is true, backward runs on tensors of its own: the stretch runs again in it, from an input that was kept.
    `chosen` are the keys of what a selective checkpoint keeps, forward and backward; `named` those of what the model's
    result has, too: keys and values. After `inner` events of `forward` the model under an output layer has returned.
    `logits` are those that the model's result has; the first product has run after `product` events of `forward`, and
    the first on the way back after so many of `backward`.
    """

    forward: Pass
    leaving: Changes
    backward: Pass
    apart: bool = False
    logits: int | None = None
    product: int | None = None
    product_back: int | None = None
    chosen: tuple[tuple[int, int], ...] = ()
    named: tuple[int, ...] = ()
    inner: int | None = None


NO_PASS = Pass((), None, None)


@lru_cache(maxsize=MAX_RECORDED)
def script_of(origin: Origin, without: str = "") -> Script:
    """The script of a stretch; `without` what one row counts, where that is a pass of inference."""
    form, stream = origin.form, origin.stream
    if not isinstance(form, AnyHead) and stream.checkpointing != "false":
        return _checkpointed(form, stream)
    length = length_of(form)
    tape = LoggedTape(records=origin.trains, trains=origin.trains, accumulates=stream.accumulates, length=length)
    tape.without = without
    tape.cache = stream.named if origin.trains else origin.cache
    tape.sums, tape.sum_sizes = stream.sums, stream.sum_sizes
    x = tape.new(RESIDUAL, origin.hidden, stream.dtype, grad=stream.grad)
    if isinstance(form, AnyHead):
        if origin.loses:
            return _loss_alone(tape, x, form)
        return _loss(tape, x, form) if origin.trains else _logits(tape, x, form)
    out = follow_layer(tape, x, form)
    tape.drop(x)
    if origin.trains:
        return _then_back(tape, x, out, sends=stream.sends)
    return Script(_forward(tape, x, out), (), NO_PASS, product=tape.product)


@lru_cache(maxsize=MAX_RECORDED)
def opening_script(opening: Opening) -> Script:
    """The script of what runs before the first layer; backward ends with the gradient of the token embeddings.

    The embeddings that the code has names for are `named`: these go as the model returns.
    """
    tape = LoggedTape(records=True)
    out = embed(tape, opening.form, opening.dtype, grad=opening.grad)
    forward = Pass(tape.cut(), None, tape.number(out))
    tape.drop(out)
    before = len(tape.log)
    tape.unwind()
    named = tuple(change.key for change in tape.log[before:])
    leaving = tape.cut()[:before]
    if not opening.grad:
        return Script(forward, leaving, NO_PASS, named=named)
    tape.backward(out)
    return Script(forward, leaving, Pass(tape.cut(), tape.start, tape.end), named=named)


def _loss(tape: LoggedTape, x: Buffer, form: AnyHead) -> Script:
    return _then_back(tape, x, follow_loss(tape, x, form))


def _loss_alone(tape: LoggedTape, x: Buffer, form: AnyHead) -> Script:
    tape.drop(follow_loss(tape, x, form))
    return Script(Pass(tape.cut(), tape.number(x), None), (), NO_PASS, logits=tape.logits, inner=tape.inner)


def _logits(tape: LoggedTape, x: Buffer, form: AnyHead) -> Script:
    follow_logits(tape, x, form)
    return Script(Pass(tape.cut(), tape.number(x), None), (), NO_PASS, logits=tape.logits, inner=tape.inner)


def _forward(tape: LoggedTape, x: Buffer, out: Buffer) -> Pass:
    result = tape.number(out)
    return Pass(tape.cut(), tape.number(x), result)


def _then_back(tape: LoggedTape, x: Buffer, out: Buffer, *, sends: bool = False) -> Script:
    forward = _forward(tape, x, out)
    named = tape.attributes() if tape.cache else ()
    tape.drop(out)
    tape.unwind()
    leaving = tape.cut()
    product, tape.product = tape.product, None
    tape.backward(out, _received(tape, out) if sends else None)
    backward = Pass(tape.cut(), tape.start, tape.end)
    return Script(
        forward, leaving, backward, logits=tape.logits, product=product, product_back=tape.product, named=named,
        inner=tape.inner,
    )  # fmt: skip


def _received(tape: LoggedTape, out: Buffer) -> Buffer:
    """The gradient of what a stage of a pipeline sent, in a buffer that it comes in again and again."""
    return tape.elsewhere(INCOMING, out.width, out.dtype)


def _checkpointed(form: AnyLayer, stream: Stream) -> Script:
    """Forward keeps the input alone, and what nodes have as attributes; backward runs it again."""
    reenters = stream.checkpointing == "reentrant"
    tape = LoggedTape(records=False, pins=not reenters, length=length_of(form))
    x = tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    x.references += 1  # the checkpoint itself
    tape.chosen = [] if stream.chooses else None
    out = follow_layer(tape, x, form)
    forward = Pass(tape.cut(), tape.number(x), tape.number(out))
    tape.drop(out)
    tape.unwind()
    leaving = tape.cut()
    pinned = [(row, size, stream.dtype) for row, size in tape.pinned.items()]
    chosen = tape.chosen or []
    again, found, product = _again(form, stream, out.size, None if reenters else (tape.saves, pinned), chosen)
    keys = tuple(zip(map(tape.number, chosen), found, strict=True))
    return Script(forward, leaving, again, apart=True, product=tape.product, product_back=product, chosen=keys)


def _again(
    form: AnyLayer,
    stream: Stream,
    result_size: Size,
    waits: tuple[int, list[tuple[str, Size, str]]] | None,
    chosen: Sequence[Buffer],
) -> tuple[Pass, list[int], int | None]:
    """The backward of a checkpointed layer: `waits` says that it runs again at the first of so many saved tensors.

    Also the keys of what was `chosen` to be kept for it, and after how many events its first product has run.
    """
    tape = LoggedTape(records=True, accumulates=stream.accumulates, length=length_of(form))
    foreign = [tape.fresh(row, size, dtype) for row, size, dtype in (waits[1] if waits else ())]
    x = tape.new(CHECKPOINTS, form.hidden, stream.dtype, grad=True)
    x.references += 1
    foreign.append(x)
    found = [tape.fresh(one.row, one.size, one.dtype, one.width) for one in chosen]
    foreign += found
    tape.chosen = [*found] if stream.chooses else None
    gradient = None
    if waits:
        tape.defer(waits[0] + stream.lasts)
        gradient = tape.elsewhere(INCOMING, form.hidden, stream.dtype) if stream.sends else None
    else:
        tape.leaf = x
        gradient = tape.fresh(INCOMING, result_size, stream.dtype)
    result = follow_layer(tape, x, form)
    if gradient is not None and not waits:
        gradient.references += 1
        gradient.dtype = result.dtype
        result.references += 1
    tape.unwind()
    tape.backward(result, gradient)
    mine = frozenset(map(tape.number, foreign))
    return Pass(tape.cut(), tape.start, tape.end, mine), [*map(tape.number, found)], tape.product
