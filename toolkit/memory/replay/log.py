"""A tape that also writes down what is allocated and released, in order and tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from toolkit.memory.formula.ends.logits import FLOAT, LOGITS
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import GRADIENTS
from toolkit.memory.tape.live import Event, Live
from toolkit.memory.tape.tape import Tape


class Change(NamedTuple):
    """Tensor number `key` is allocated with a size, or released where there is none; `stays` until gradients go."""

    key: int
    size: Size | None = None
    stays: bool = False


class LoggedTape(Tape):
    """A tape with its `log`. `start` and `end` are the gradients that backward began with and left.

    `logits` are those that the model's result has, where the stretch makes any; `product` is how many changes there
    were when the first product had run, `inner` when the model under the output layer returned. What is of a row that
    it is `without` is not logged.
    """

    without = ""

    def __init__(
        self, *, records: bool, pins: bool = False, trains: bool = True, accumulates: bool = False, length: int = 0
    ) -> None:
        super().__init__(records=records, pins=pins, trains=trains, accumulates=accumulates, length=length)
        self._live = _Watched(self._happen)
        self.log: list[Change] = []
        self.start: int | None = None
        self.end: int | None = None
        self.logits: int | None = None
        self.inner: int | None = None
        self.product: int | None = None
        self._later: list[Change] = []
        self._numbers: dict[int, int] = {}
        self._seen: list[Buffer] = []  # so that no identity comes twice
        self._renamed: list[Buffer] = []
        self._begins = False
        self._gave = False

    def number(self, buffer: Buffer) -> int:
        """The key of the tensor that a buffer is, or is a view of."""
        whole = buffer.base or buffer
        known = self._numbers.get(id(whole))
        if known is None:
            known = self._numbers[id(whole)] = len(self._seen)
            self._seen.append(whole)
        return known

    def cut(self) -> tuple[Change, ...]:
        """What was logged since the last cut."""
        part = tuple(self.log)
        self.log.clear()
        return part

    def new(self, row: str, width: int, dtype: str, *, grad: bool = False, size: Size | None = None) -> Buffer:
        """As of a tape."""
        buffer = super().new(row, width, dtype, grad=grad, size=size)
        if buffer.counted:
            self._made(buffer)
            if not self._gave and (row == LOGITS or (row == FLOAT and not self.records)):
                self.logits = self.number(buffer)
        return buffer

    def model_returns(self) -> None:
        """As of a tape."""
        self.inner = len(self.log)

    def gives(self, logits: Buffer) -> None:
        """As of a tape."""
        self.logits, self._gave = self.number(logits), True

    def attributes(self) -> tuple[int, ...]:
        """The keys of what nodes keep as attributes: of a layer that fills a cache its keys and values are among it."""
        return tuple(map(self.number, self._pinned))

    def fresh(self, row: str, size: Size, dtype: str, width: int = 0) -> Buffer:
        """As of a tape."""
        buffer = super().fresh(row, size, dtype, width)
        self._made(buffer)
        if self._begins:
            self.start, self._begins = self.number(buffer), False
        return buffer

    def renamed(self, buffer: Buffer, row: str) -> Buffer:
        """As of a tape: no other memory."""
        other = super().renamed(buffer, row)
        self._numbers[id(other)] = self.number(buffer)
        self._renamed.append(other)
        return other

    def multiplied(self) -> None:
        """As of a tape; what is deferred is no first product."""
        if self.product is None and self._live.deferred is None:
            self.product = len(self.log)

    @contextmanager
    def temporary(self, row: str, size: Size) -> Iterator[None]:
        """As of a tape."""
        with super().temporary(row, size):
            if self.stopped:
                yield
                return
            passing = Buffer(row, self._measured(size), 0, "", grad=False)
            self._made(passing)
            yield
            self._note(Change(self.number(passing)))

    def backward(self, output: Buffer, gradient: Buffer | None = None) -> Buffer | None:
        """As of a tape."""
        self._begins = gradient is None
        if gradient is not None:
            self.start = self.number(gradient)
        left = super().backward(output, gradient)
        for one in self.sum_of:  # which the next layer finds: each writes its own
            self._release(one)
        self.sum_of.clear()
        self.end = self.number(left) if left is not None and left.counted else None
        return left

    def _release(self, buffer: Buffer) -> None:
        super()._release(buffer)
        if buffer.references == 0 and buffer.counted:
            self._note(Change(self.number(buffer)))

    def _made(self, buffer: Buffer) -> None:
        if buffer.row == self.without:
            return  # its end has no block either
        self._note(Change(self.number(buffer), buffer.size, buffer.row == GRADIENTS))

    def _note(self, change: Change) -> None:
        (self.log if self._live.deferred is None else self._later).append(change)

    def _happen(self) -> None:
        self.log += self._later
        self._later.clear()


class _Watched(Live):
    """Says when what was deferred happens."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = happens

    def replay(self, events: list[Event]) -> None:
        """Let what was deferred happen."""
        self._happens()
        super().replay(events)
