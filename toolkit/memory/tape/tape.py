"""What a stretch of a model keeps alive: its operations in order, as PyTorch runs them forward and backward.

A formula writes the operations of a layer on a `Tape`. Each result is a `Buffer`, alive while the forward code holds it
or an operation has saved it for backward; `Tape.backward` then walks the operations in reverse, as the autograd engine
does (torch/csrc/autograd/engine.cpp), and allocates gradients. Sizes stay symbolic in the batch and the sequence, so a
tape is recorded once for a model and a choice of dtypes; its `moments` are those at which the most may be alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from toolkit.memory.formula.reduction import ROW as REDUCTION
from toolkit.memory.size import BYTES, NOTHING, Alive, Size, staged
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING, Gradients
from toolkit.memory.tape.keeping import Keeping
from toolkit.memory.tape.live import Event

Backward = Callable[["Tape", Buffer], list[tuple[Buffer, Buffer]]]


@dataclass(slots=True)
class Node:
    """One operation of the graph: what it saved, and what its backward gives to which inputs."""

    output: Buffer
    backward: Backward
    saved: tuple[Buffer, ...]
    needs: bool


class Tape(Gradients):
    """The operations of one stretch of a model.

    Without `records` (under no_grad) saved tensors are only counted. With `pins` there is a graph even then, as in the
    first pass through a non-reentrant checkpoint. `trains` turns dropout on; with `accumulates` there are gradients of
    earlier micro-batches; with a `length` (in tokens) all sequences have it, whatever the batch's.
    """

    def __init__(
        self, *, records: bool, pins: bool = False, trains: bool = True, accumulates: bool = False, length: int = 0
    ) -> None:
        super().__init__(accumulates=accumulates, length=length)
        self.records = records
        self.pins = records or pins
        self.trains = trains
        self.cache = ""  # what becomes of keys and values (formula/caches/cached.py)
        self.keeping: Keeping | None = None  # how a cache keeps them, unless it grows
        self.stop_after: int | None = None
        self.chosen: list[Buffer] | None = None  # the results that a selective checkpoint keeps, in order
        self.products = 0  # counted for a selective checkpoint, which keeps every second one
        self.saves = 0
        self.stopped = False
        self.nodes: list[Node] = []
        self.weights: dict[str, Buffer] = {}  # those used more than once, by name
        self.bound: list[Buffer] = []  # what the code around an operation names until the stretch returns
        self.named: list[Buffer] = []  # what it names until attention returns
        self.beside: list[Buffer] = []  # what a layer returns beside its result
        # tensors of other stretches that get gradients, and whether later stretches have given them some already
        self.outside: list[tuple[Buffer, bool]] = []
        self.waiting: dict[int, Buffer] = {}  # gradients that exist before backward reaches the tensor they belong to
        self.leaf: Buffer | None = None  # a checkpoint's detached input: autocast caches its copy as that of a weight
        self.lowered: dict[str, Buffer] = {}
        self.fetched: Buffer | None = None  # from main memory, for what went back before
        self._node: Node | None = None
        self._needs = False
        self._holds: list[Buffer] = []
        self._pinned: list[Buffer] = []
        self._left: list[Buffer] = []
        self._in_result: list[Buffer] = []

    def defer(self, saves: int) -> None:
        """Defer what follows into backward, to when the first of so many saved tensors is unpacked.

        This is how a checkpointed layer is recomputed (torch.utils.checkpoint, non-reentrant, with its early stop).
        """
        self.stop_after = saves
        self._live.deferred = []

    # forward

    def new(self, row: str, width: int, dtype: str, *, grad: bool = False, size: Size | None = None) -> Buffer:
        """Allocate a tensor of `width` elements per token, or of a given size, held by the forward code."""
        actual = self._measured(size if size is not None else Size(token=width * BYTES[dtype]))
        buffer = Buffer(row, actual, width, dtype, grad, counted=not self.stopped)
        if buffer.counted:
            self._live.add(row, actual)
            self._holds.append(buffer)
        return buffer

    def elsewhere(self, row: str, width: int, dtype: str, *, grad: bool = False) -> Buffer:
        """A tensor that is not counted here and that somebody else keeps: a buffer in which something was received."""
        size = self._measured(Size(token=width * BYTES[dtype]))
        return Buffer(row, size, width, dtype, grad, references=2, counted=False)

    def adopted(self, buffer: Buffer) -> Buffer:
        """A tensor that existed before, held by the forward code from now on."""
        self._holds.append(buffer)
        return buffer

    def drop(self, *buffers: Buffer) -> None:
        """The forward code drops its references to tensors."""
        for buffer in buffers:
            if buffer.held:
                buffer.held = False
                self._release(buffer)

    def renamed(self, buffer: Buffer, row: str) -> Buffer:
        """Moves a tensor to another row; the forward code holds the returned buffer in its place."""
        other = Buffer(row, buffer.size, buffer.width, buffer.dtype, grad=False, counted=buffer.counted)
        if buffer.counted:
            self._live.remove(buffer.row, buffer.size)
            self._live.add(row, buffer.size)
            self._holds.append(other)
        buffer.held = buffer.counted = False
        return other

    def multiplied(self) -> None:
        """A matrix product has run: a thread's first one makes cuBLAS allocate its workspace."""

    def summed(self, outputs: int, rows: int = 1) -> None:
        """A sum over all tokens, of so many rows each, has run; its kernel stages partial sums."""
        with self.temporary(REDUCTION, staged(outputs, rows)):
            pass

    def model_returns(self) -> None:
        """The model under the output layer returns: what its code had names for is gone."""

    def gives(self, logits: Buffer) -> None:
        """The model returns these logits: what is made from them afterwards is not part of its result."""

    @contextmanager
    def temporary(self, row: str, size: Size) -> Iterator[None]:
        """Memory that an operation needs only while it runs."""
        actual, counts = self._measured(size), not self.stopped
        if counts:
            self._live.add(row, actual)
        yield
        if counts:
            self._live.remove(row, actual)

    def save(self, *buffers: Buffer, constants: int = 0) -> tuple[Buffer, ...]:
        """Save tensors for backward, as autograd does just before an operation runs; `constants` counts saved weights.

        A checkpointed layer's recomputation ends here if this was the last tensor that it has to save.
        """
        if self.stopped:
            return ()
        self.saves += len(buffers) + constants
        if not self.records:
            return ()
        buffers = tuple(buffer.base or buffer for buffer in buffers)
        for buffer in buffers:
            buffer.references += 1
        self._needs = True
        if self.stop_after is not None and self.saves >= self.stop_after:
            self.unwind()
            self.stopped = True
        return buffers

    def pin(self, *buffers: Buffer) -> None:
        """Keep tensors as attributes of a node, which checkpoints do not see and the engine does not free.

        They stay until the graph is freed with the loss; those of a recomputation until it returns or is abandoned.
        """
        if not self.pins or self.stopped:
            return
        for buffer in (buffer.base or buffer for buffer in buffers):
            if not any(buffer is pinned for pinned in self._pinned):
                buffer.references += 1
                self._pinned.append(buffer)

    def leave(self, buffer: Buffer) -> None:
        """Leave a gradient to a node that waits for those of all layers."""
        self._left.append(buffer)

    def node(self, output: Buffer, backward: Backward, saved: tuple[Buffer, ...] = ()) -> Buffer:
        """Add an operation to the graph, unless no gradient flows through it."""
        if self.records and output.grad:
            self.nodes.append(Node(output, backward, saved, self._needs))
        self._needs = False
        return output

    def forget(self, nodes: int) -> None:
        """Drop all nodes after the first `nodes`, with what they saved: nothing uses their results."""
        for node in self.nodes[nodes:]:
            for buffer in node.saved:
                self._release(buffer)
        del self.nodes[nodes:]

    def hold(self, buffer: Buffer) -> None:
        """Keep a tensor until all of the forward code returns: its result refers to it."""
        buffer.references += 1
        self._in_result.append(buffer)

    def unwind(self) -> None:
        """The forward code returns or is abandoned: it drops all that it still holds."""
        for buffer in self._in_result:
            self._release(buffer)
        self._in_result.clear()
        for buffer in self._holds:
            self.drop(buffer)
        self._holds.clear()
        if self.stop_after is not None:
            for buffer in self._pinned:
                self._release(buffer)
            self._pinned.clear()

    # backward

    def begin(self) -> None:
        """Make what is alive now the first of the moments: earlier ones belong to another pass."""
        self._live.begin()

    def backward(self, output: Buffer, gradient: Buffer | None = None) -> Buffer | None:
        """Run the graph in reverse from `output`; returns the gradient of the stretch's input, if there is one."""
        events = self._live.pause()
        self.stopped = False
        start = gradient or self.fresh(INCOMING, output.size, output.dtype, output.width)
        pending = {id(output): start, **self.waiting}
        self.find_sums()
        for one, there in self.outside:
            if there:
                pending[id(one)] = self.fresh(INCOMING, one.size, one.dtype, one.width)
        for node in reversed(self.nodes):
            incoming = pending.pop(id(node.output), None)
            if incoming is None:
                continue
            if node.needs and events:
                self._live.replay(events)
                events = []
            self._node = node
            given = node.backward(self, incoming)
            for buffer in node.saved:
                self._release(buffer)
            self._release(incoming)
            for target, contribution in given:
                self._accumulate(pending, target, contribution)
            self._let_go_of_fetched(events)
        for one, _ in self.outside:  # whose gradients go on to be those of the stretches before
            if (left := pending.pop(id(one), None)) is not None:
                self._release(left)
        return next(iter(pending.values()), None)

    def _let_go_of_fetched(self, events: list[Event]) -> None:
        """The first node of a layer that has run again is done."""
        if self.fetched is not None and not events:
            self._release(self.fetched)
            self.fetched = None

    def returned(self) -> None:
        """A node's function has returned, and its gradients are still to be cast: what a checkpoint unpacked is freed.

        Otherwise the engine frees what a node saved once its gradients are ready (engine.cpp, evaluate_function).
        """
        if self.stop_after is not None and self._node is not None:
            for buffer in self._node.saved:
                self._release(buffer)
            self._node.saved = ()

    # results

    @property
    def alive(self) -> Alive:
        """What is alive now, by row."""
        return self._live.alive

    @property
    def pinned(self) -> dict[str, Size]:
        """What nodes keep as attributes, by row."""
        kept: dict[str, Size] = {}
        for buffer in (*self._pinned, *self._left):
            kept[buffer.row] = kept.get(buffer.row, NOTHING).plus(buffer.size)
        return kept

    @property
    def moments(self) -> tuple[Alive, ...]:
        """The moments at which the most may be alive: none is below another for every batch and sequence."""
        self._live.mark()
        return self._live.fullest
