"""What of a model is gathered on a GPU while ZeRO 3 goes through it, module by module.

DeepSpeed records the order in which modules run once, and then gathers ahead of their use and keeps what is soon used
again. Source: deepspeed runtime/zero/partitioned_param_coordinator.py (0.19): fetch_sub_module, release_sub_module,
__params_to_release; partition_parameters.py, AllGatherCoalescedHandle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from toolkit.frozen import frozen
from toolkit.memory.parallel.zero_settings import Sizes

LAST, LOGITS, LOSS, LAST_BACK, FIRST_BACK, EMBEDDING = (
    "last layer",
    "logits",
    "loss",
    "last layer backward",
    "first layer backward",
    "embedding",
)

NONE: Mapping[str, int] = {}
"""No weight that is there throughout."""


@frozen
class Visit:
    """A module that a pass goes through: which weight it has, of how many elements, and where that is in the pass.

    DeepSpeed's limits are in elements; `item` is what one takes while it is gathered, bytes or elements.
    """

    weight: str
    elements: int
    place: str = ""
    item: int = 1

    @property
    def size(self) -> int:
        """What the weight takes."""
        return self.elements * self.item


def visits(
    before: Sequence[Visit], layers: Sequence[Sequence[Visit]], after: Sequence[Visit], *, recomputes: bool
) -> Iterator[Visit]:
    """One step: forward, and backward in reverse; a checkpointed layer runs again before its backward."""

    def at(place: str, those: Sequence[Visit]) -> Iterator[Visit]:
        return (replace(one, place=place) for one in those)

    end = len(layers) - 1
    yield from before
    for index, layer in enumerate(layers):
        yield from at(LAST if index == end else "", layer)
    yield from at(LOGITS, after)
    yield from at(LOSS, after[::-1])
    for index in range(end, -1, -1):
        place = {end: LAST_BACK, 0: FIRST_BACK}.get(index, "")
        yield from at(place, layers[index] if recomputes else ())
        yield from at(place, layers[index][::-1])
    yield from at(EMBEDDING, before[::-1])


Move = tuple[str | int, int]
"""What is gathered, by a name, and its size; size 0 lets go of it."""


@dataclass(slots=True)
class _Group:
    """Weights that are gathered together: they are copied out of one buffer, which stays until all were asked for."""

    size: int
    members: dict[str, int]
    waiting: set[str]
    arrived: bool = False


@dataclass(slots=True)
class _Coordinator:
    order: Sequence[Visit]
    sizes: Sizes
    held: Mapping[str, int]
    live: dict[str, int] = field(default_factory=dict)
    gathered: int = 0
    flying: dict[str, _Group] = field(default_factory=dict)
    looked_up_to: dict[str, int] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    available: int = 0
    queue: deque[int] = field(default_factory=deque)
    ends: list[int] = field(default_factory=list)
    next_use: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        items = {visit.weight: visit.item for visit in self.order}
        self._add({weight: elements * items.get(weight, 1) for weight, elements in self.held.items()})
        self.available = sum(self.held.values())
        self.queue = deque(range(len(self.order)))
        self.ends = [0]
        for visit in self.order:
            self.ends.append(self.ends[-1] + visit.elements)
        later: dict[str, int] = {}
        self.next_use = [0] * len(self.order)
        for step in range(len(self.order) - 1, -1, -1):
            self.next_use[step] = later.get(self.order[step].weight, len(self.order))
            later[self.order[step].weight] = step

    def fetch(self, step: int) -> None:
        visit = self.order[step]
        if visit.weight not in self.live and visit.weight not in self.flying:
            self._add({visit.weight: visit.size})
            self.available += visit.elements
        elif visit.weight in self.flying:
            self._arrive(self.flying[visit.weight], visit.weight)
        while self.queue and self.queue[0] <= step:
            passed = self.queue.popleft()
            self.looked_up_to[self.order[passed].weight] = passed

    def _add(self, weights: Mapping[str, int]) -> None:
        self.live |= weights
        self.gathered += sum(weights.values())
        self.moves += weights.items()

    def _arrive(self, group: _Group, weight: str) -> None:
        """All of a group are copied out at once; the buffer goes with the last one that is asked for."""
        if not group.arrived:
            group.arrived = True
            self._add(group.members)
        del self.flying[weight]
        group.waiting.discard(weight)
        if not group.waiting:
            self.gathered -= group.size
            self.moves.append((id(group), 0))

    def prefetch(self) -> None:
        room = min(self.sizes.max_live_parameters - self.available, self.sizes.prefetch_bucket_size)
        ahead: dict[str, int] = {}
        coming = size = 0
        while self.queue and coming < room:
            step = self.queue.popleft()
            visit = self.order[step]
            self.looked_up_to[visit.weight] = max(self.looked_up_to.get(visit.weight, -1), step)
            if visit.weight not in self.live and visit.weight not in self.flying and visit.weight not in ahead:
                ahead[visit.weight] = visit.size
                coming, size = coming + visit.elements, size + visit.size
        if len(ahead) == 1 or self.sizes.alone:  # NoGatherCoalescedHandle has no buffer
            self._add(ahead)
        elif ahead:
            group = _Group(size, ahead, set(ahead))
            self.gathered += size
            self.moves.append((id(group), size))
            self.flying |= dict.fromkeys(ahead, group)
        self.available += coming

    def release(self, step: int) -> None:
        """Frees a weight, unless gathering ahead has passed a later use of it, or that use is near."""
        weight, following = self.order[step].weight, step + 1
        if weight in self.held:
            return
        later = self.next_use[step]
        near = later < len(self.order) and self.ends[later] - self.ends[following] < self.sizes.max_reuse_distance
        if near or self.looked_up_to.get(weight, -1) > following:
            return
        size = self.live.pop(weight, 0)
        self.moves.append((weight, 0))
        self.available -= size // self.order[step].item
        self.gathered -= size


@frozen
class Gathering:
    """The modules of a step in their order, DeepSpeed's sizes, and the weights that are there throughout."""

    order: tuple[Visit, ...]
    sizes: Sizes
    held: Mapping[str, int]


def gathering_moves(of: Gathering) -> list[Move]:
    """What is gathered and let go of, in elements: in a step before which no order is known, and in two more."""
    alone = replace(of.sizes, prefetch_bucket_size=0, max_reuse_distance=0)
    moves: list[Move] = []
    for decided, there in ((alone, NONE), (of.sizes, of.held), (of.sizes, of.held)):
        coordinator = _Coordinator(of.order, decided, there)
        for step in range(len(of.order)):
            coordinator.fetch(step)
            coordinator.prefetch()
            coordinator.release(step)
        left = [weight for weight, _ in coordinator.moves if weight in coordinator.live]
        moves += [*coordinator.moves, *((weight, 0) for weight in dict.fromkeys(left))]
    return moves


def gathered(order: Sequence[Visit], sizes: Sizes, held: Mapping[str, int] = NONE) -> Mapping[str, int]:
    """The most elements that are gathered at each place of a step, with the buffers that they are gathered in.

    `held` are weights that are there throughout.
    """
    coordinator = _Coordinator(order, sizes, held)
    most: dict[str, int] = dict.fromkeys((LOGITS, LOSS), coordinator.gathered) if held else {}
    for step, visit in enumerate(order):
        coordinator.fetch(step)
        arrived = coordinator.gathered
        coordinator.prefetch()
        most[visit.place] = max(most.get(visit.place, 0), arrived, coordinator.gathered)
        coordinator.release(step)
    return most
