"""Allocations and releases in order: the raw material of a trace, without torch."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from toolkit.facts.multiprocessors import Multiprocessors
from toolkit.frozen import frozen
from toolkit.memory.allocator.caching import MIN_BLOCK, Block, CachingAllocator, CardFullError
from toolkit.memory.formula.reduction import staged_bytes

WORKSPACE = "cublas_workspace"
"""The name of the operation that allocates cuBLAS's workspaces."""


class Stage(StrEnum):
    """When an allocation is made: in forward, in a checkpoint's recomputation, in backward, or by the optimizer."""

    FORWARD = "forward"
    RECOMPUTATION = "recomputation"
    BACKWARD = "backward"
    STEP = "step"


@frozen
class Staged:
    """A sum of so many rows to so many outputs, whose kernel stages partial sums for a GPU's multiprocessors."""

    outputs: int
    rows: int
    on: Multiprocessors

    @property
    def bytes(self) -> int:
        """The bytes that it stages."""
        return staged_bytes(self.outputs, self.rows, self.on)


@frozen
class Allocation:
    """One storage or scratch buffer: `bytes` as requested, and what requested it.

    `operation` is torch's name of the operator, `module` the path of the module whose code or gradient it ran for.
    `scratch` marks memory that a kernel takes beside its results. `stream` is the device's current stream (0 is the
    default one), whose memory other streams do not get; `gpu` is the device where a run has several. `staged` is the
    sum that the bytes belong to where they are partial sums.
    """

    bytes: int
    operation: str
    module: str
    stage: Stage = Stage.FORWARD
    scratch: bool = False
    stream: int = 0
    gpu: int = 0
    staged: Staged | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """Where the allocation was made, in words."""
        return f"{self.operation} ({self.stage})" + (f" in {self.module}" if self.module else "")

    @property
    def counted(self) -> int:
        """The bytes that torch counts: rounded up to 512."""
        return -(-self.bytes // MIN_BLOCK) * MIN_BLOCK


@frozen
class Moment:
    """A point in a timeline: the bytes that are alive right after an event."""

    bytes: int
    event: int


@frozen
class Replayed:
    """What the caching allocator held at most over a timeline, in bytes."""

    allocated: int
    reserved: int


@dataclass(slots=True)
class Timeline:
    """Allocations in the order in which they were made, events (n: allocation n-1 made, -n: released), named phases."""

    allocations: list[Allocation] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)

    def allocate(self, allocation: Allocation) -> int:
        """Adds an allocation and returns its index."""
        self.allocations.append(allocation)
        self.events.append(len(self.allocations))
        return len(self.allocations) - 1

    def release(self, index: int) -> None:
        """Ends an allocation."""
        self.events.append(-index - 1)

    def mark(self, phase: str) -> None:
        """Starts a phase; a name may be used several times."""
        self.marks.append((len(self.events), phase))

    def peaks(self) -> dict[str, Moment]:
        """The fullest moment of each phase, the first of equal ones; the start of a phase counts as well."""
        found: dict[str, Moment] = {}
        alive = 0
        starts = iter(self.marks)
        upcoming = next(starts, None)
        phase = ""
        for event, change in enumerate(self.events):
            while upcoming is not None and upcoming[0] <= event:
                phase = upcoming[1]
                _keep_largest(found, phase, Moment(alive, event - 1))
                upcoming = next(starts, None)
            counted = self.allocations[abs(change) - 1].counted
            alive += counted if change > 0 else -counted
            _keep_largest(found, phase, Moment(alive, event))
        return found

    def alive(self, event: int) -> set[int]:
        """The indexes of the allocations that are alive right after an event."""
        indexes: set[int] = set()
        for change in self.events[: event + 1]:
            if change > 0:
                indexes.add(change - 1)
            else:
                indexes.discard(-change - 1)
        return indexes

    @staticmethod
    def _ask(allocator: CachingAllocator, made: Allocation) -> Block:
        try:
            return allocator.allocate(made.bytes, made.stream)
        except CardFullError as full:
            full.at = made.place
            raise

    def replay(self, loaded: str, allocator: CachingAllocator | None = None, *, warm: bool = False) -> Replayed:
        """Runs the timeline through the caching allocator. Raises CardFullError if its capacity is not enough.

        What is alive at the first mark named `loaded` is allocated first, in its order: tensors without storage are not
        made in the way a GPU is loaded. With `warm` a block of their total size is allocated and freed before, as
        transformers does when it loads to a GPU with a device map (caching_allocator_warmup).
        """
        allocator = allocator or CachingAllocator()
        start = next(event for event, phase in self.marks if phase == loaded)
        there = sorted(self.alive(start - 1))
        if warm:
            _warm(allocator, sum(self.allocations[index].bytes for index in there))
        blocks: dict[int, Block] = {}
        for change in [*(index + 1 for index in there), *self.events[start:]]:
            size = self.allocations[abs(change) - 1].bytes
            if not size:
                continue  # torch does not call the allocator
            if change > 0:
                blocks[change] = self._ask(allocator, self.allocations[change - 1])
            else:
                allocator.free(blocks.pop(-change))
        return Replayed(allocator.peak_allocated, allocator.peak_reserved)


def _warm(allocator: CachingAllocator, size: int) -> None:
    """Allocates a block and frees it; a card without room for it has none for the model either."""
    with suppress(CardFullError):
        allocator.free(allocator.allocate(size))


def _keep_largest(found: dict[str, Moment], phase: str, moment: Moment) -> None:
    if phase not in found or moment.bytes > found[phase].bytes:
        found[phase] = moment
