"""What a stretch of a model keeps alive: its operations in order, as PyTorch runs them forward and backward.

A formula writes the operations of a layer on a `Tape`. Each result is a `Buffer`, alive while the forward code holds it
or an operation has saved it for backward; `Tape.backward` then walks the operations in reverse, as the autograd engine
does (torch/csrc/autograd/engine.cpp), and allocates gradients. Sizes stay symbolic in the batch and the sequence, so a
tape is recorded once for a model and a choice of dtypes; its `moments` are those at which the most may be alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import add, ge, le, sub
from typing import NamedTuple

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1, "int32": 4, "int64": 8, "bool": 1}


class Size(NamedTuple):
    """Bytes for each token, token of a padded sequence, pair of query and key, position, sequence, and loss chunk's token.

    `fixed` is what depends on neither batch nor sequence.
    """

    token: int = 0
    padded: int = 0
    pair: int = 0
    position: int = 0
    sequence: int = 0
    fixed: int = 0
    chunk: int = 0

    def plus(self, other: Size) -> Size:
        """The sum of two sizes."""
        return Size(*map(add, self, other))

    def minus(self, other: Size) -> Size:
        """The difference of two sizes."""
        return Size(*map(sub, self, other))

    def times(self, factor: int) -> Size:
        """The size of `factor` such things."""
        return Size(*[factor * a for a in self])


NOTHING = Size()
INCOMING = "activation_gradients"
GRADIENTS = "gradients"
NEW_GRADIENT = "new_gradient"
LOGITS_ROWS = frozenset({"logits", "logits_float32", "log_probabilities"})
Alive = Mapping[str, Size]  # row name -> what it takes


@dataclass(slots=True, eq=False)
class Buffer:
    """One tensor of a tape, named by its row. `width` is elements per token; `grad` says that a gradient flows to it.

    A `parameter` is no tensor of the tape itself: only its gradient is, and that stays. A view of `base` takes nothing
    of its own, and what keeps it keeps all of the base.
    """

    row: str
    size: Size
    width: int
    dtype: str
    grad: bool
    references: int = 1
    held: bool = True
    counted: bool = True
    parameter: bool = False
    base: Buffer | None = None


Backward = Callable[["Tape", Buffer], list[tuple[Buffer, Buffer]]]


@dataclass(slots=True)
class Node:
    """One operation of the graph: what it saved, and what its backward gives to which inputs."""

    output: Buffer
    backward: Backward
    saved: tuple[Buffer, ...]
    needs: bool


class _Live:
    """Sizes of what is alive by row, and a copy of them whenever it stops growing: the moments between are below those.

    What is deferred happens at `replay`.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Size] = {}
        self.moments: list[tuple[Size, dict[str, Size]]] = []
        self.deferred: list[tuple[int, str, Size]] | None = None
        self._total = NOTHING
        self._grows = False

    def add(self, row: str, size: Size) -> None:
        if self.deferred is not None:
            self.deferred.append((1, row, size))
            return
        self.rows[row] = self.rows[row].plus(size) if row in self.rows else size
        self._total = self._total.plus(size)
        self._grows = True

    def remove(self, row: str, size: Size) -> None:
        if self.deferred is not None:
            self.deferred.append((-1, row, size))
            return
        self.mark()
        self.rows[row] = self.rows[row].minus(size)
        self._total = self._total.minus(size)

    def mark(self) -> None:
        """Note what is alive, if it grew since it was last noted."""
        if self._grows:
            self.moments.append((self._total, dict(self.rows)))
            self._grows = False

    def pause(self) -> list[tuple[int, str, Size]]:
        """End the deferral and hand out what was deferred."""
        events, self.deferred = self.deferred or [], None
        return events

    def replay(self, events: list[tuple[int, str, Size]]) -> None:
        for sign, row, size in events:
            (self.add if sign > 0 else self.remove)(row, size)


class Tape:
    """Operations of one stretch. `records` is false under no_grad: nothing is then saved; `trains` puts dropout to work.

    `accumulates` says that gradients of earlier micro-batches are there.
    """

    def __init__(self, *, records: bool, trains: bool = True, accumulates: bool = False) -> None:
        self.records = records
        self.trains = trains
        self.accumulates = accumulates
        self.stop_after: int | None = None
        self.saves = 0
        self.stopped = False
        self.nodes: list[Node] = []
        self._needs = False
        self._live = _Live()
        self._holds: list[Buffer] = []

    def defer(self, saves: int) -> None:
        """Let what follows happen within backward, when the first saved tensor is asked for, up to that many saved ones.

        So a checkpointed layer runs again (torch.utils.checkpoint, non-reentrant, with its early stop).
        """
        self.stop_after = saves
        self._live.deferred = []

    # forward

    def new(
        self, row: str, width: int, dtype: str, *, grad: bool = False, size: Size | None = None
    ) -> Buffer:
        """Allocate a tensor of `width` elements per token, or of a given size, held by the forward code."""
        actual = size if size is not None else Size(token=width * BYTES[dtype])
        buffer = Buffer(row, actual, width, dtype, grad, counted=not self.stopped)
        if buffer.counted:
            self._live.add(row, actual)
            self._holds.append(buffer)
        return buffer

    def drop(self, *buffers: Buffer) -> None:
        """The forward code lets go of tensors."""
        for buffer in buffers:
            if buffer.held:
                buffer.held = False
                self._release(buffer)

    @contextmanager
    def temporary(self, row: str, size: Size) -> Iterator[None]:
        """Memory that an operation needs only while it runs."""
        if self.stopped:
            yield
            return
        self._live.add(row, size)
        yield
        self._live.remove(row, size)

    def save(self, *buffers: Buffer, constants: int = 0) -> tuple[Buffer, ...]:
        """Keep tensors for backward, as autograd does just before an operation runs; `constants` are saved weights.

        Where this was the last thing that the recomputation of a checkpointed layer needs, the forward pass ends here.
        """
        if not self.records or self.stopped:
            return ()
        buffers = tuple(buffer.base or buffer for buffer in buffers)
        for buffer in buffers:
            buffer.references += 1
        self._needs = True
        self.saves += len(buffers) + constants
        if self.stop_after is not None and self.saves >= self.stop_after:
            self.unwind()
            self.stopped = True
        return buffers

    def node(self, output: Buffer, backward: Backward, saved: tuple[Buffer, ...] = ()) -> Buffer:
        """Put an operation into the graph, unless no gradient flows through it."""
        if self.records and output.grad:
            self.nodes.append(Node(output, backward, saved, self._needs))
        self._needs = False
        return output

    def unwind(self) -> None:
        """The forward code returns or is left: it lets go of all it still holds."""
        for buffer in self._holds:
            self.drop(buffer)
        self._holds.clear()

    # backward

    def backward(self, output: Buffer, gradient: Buffer | None = None) -> Buffer | None:
        """Run the graph in reverse from `output`; what is left is the gradient of the stretch's input, if any."""
        events = self._live.pause()
        self.stopped = False
        start = gradient or self.fresh(INCOMING, output.size, output.dtype, output.width)
        pending = {id(output): start}
        for node in reversed(self.nodes):
            incoming = pending.pop(id(node.output), None)
            if incoming is None:
                continue
            if node.needs and events:
                self._live.replay(events)
                events = []
            given = node.backward(self, incoming)
            for buffer in node.saved:
                self._release(buffer)
            self._release(incoming)
            for target, contribution in given:
                self._accumulate(pending, target, contribution)
        return next(iter(pending.values()), None)

    def gradient(self, of: Buffer, dtype: str | None = None) -> Buffer:
        """Allocate the gradient of a tensor, in its dtype."""
        if dtype is None or dtype == of.dtype:
            size = of.size
        else:
            size = Size(*[part * BYTES[dtype] // BYTES[of.dtype] for part in of.size])
        row = "logits_gradient" if of.row in LOGITS_ROWS else INCOMING
        return self.fresh(row, size, dtype or of.dtype, of.width)

    def parameter(self, elements: int, dtype: str) -> Buffer:
        """A trained weight, whose gradient has a dtype. With earlier gradients there, a new one is added and freed."""
        row = NEW_GRADIENT if self.accumulates else GRADIENTS
        size = Size(fixed=elements * BYTES[dtype])
        return Buffer(row, size, 0, dtype, grad=True, counted=False, parameter=True)

    def weight_gradient(self, weight: Buffer, dtype: str) -> Buffer:
        """Allocate the gradient of a trained weight or of its copy in the dtype of the product that makes it."""
        row = weight.row if weight.parameter else NEW_GRADIENT
        return self.fresh(row, weight.size, dtype)

    def fresh(self, row: str, size: Size, dtype: str, width: int = 0) -> Buffer:
        """Allocate a tensor during backward."""
        buffer = Buffer(row, size, width, dtype, grad=False)
        self._live.add(row, size)
        return buffer

    def share(self, gradient: Buffer, target: Buffer) -> Buffer:
        """Hand a gradient on as it is, or as a cast copy where the target has another dtype."""
        if gradient.dtype != target.dtype:
            return self.gradient(target)
        gradient.references += 1
        return gradient

    def discard(self, buffer: Buffer) -> None:
        """Free a tensor that was allocated during backward."""
        self._release(buffer)

    def _accumulate(self, pending: dict[int, Buffer], target: Buffer, contribution: Buffer) -> None:
        existing = pending.get(id(target))
        if target.parameter:
            if self.accumulates:
                self._release(contribution)
        elif existing is None:
            pending[id(target)] = contribution
        elif existing.references == 1:  # the engine adds in place to a buffer that nothing else refers to
            self._release(contribution)
        else:
            total = self.fresh(existing.row, existing.size, existing.dtype, existing.width)
            self._release(existing)
            self._release(contribution)
            pending[id(target)] = total

    def _release(self, buffer: Buffer) -> None:
        buffer.references -= 1
        if buffer.references == 0 and buffer.counted:
            self._live.remove(buffer.row, buffer.size)

    # results

    @property
    def alive(self) -> dict[str, Size]:
        """What is alive now, by row."""
        return {row: size for row, size in self._live.rows.items() if size != NOTHING}

    @property
    def moments(self) -> tuple[Alive, ...]:
        """The moments at which the most may be alive, for some batch and sequence: none is below another in all parts."""
        self._live.mark()
        return _peaks(self._live.moments)


def _peaks(moments: Iterable[tuple[Size, Alive]]) -> tuple[Alive, ...]:
    """The moments whose totals no other moment reaches in every part; the first of equals."""
    kept: list[tuple[Size, Alive]] = []
    for size, moment in moments:
        if any(all(map(ge, other, size)) for other, _ in kept):
            continue
        kept = [(other, alive) for other, alive in kept if not all(map(le, other, size))]
        kept.append((size, moment))
    return tuple({row: part for row, part in moment.items() if part != NOTHING} for _, moment in kept)
