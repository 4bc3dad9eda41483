"""What of a model is gathered on a GPU while ZeRO 3 goes through it, module by module.

DeepSpeed records the order in which modules run once, and then gathers ahead of their use and keeps what is soon used
again. What autograd has a name for stays in memory after DeepSpeed let go of it. Source: deepspeed
runtime/zero/partitioned_param_coordinator.py (0.19): fetch_sub_module, release_sub_module, __params_to_release;
partition_parameters.py, AllGatherCoalescedHandle, free_param.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from toolkit.frozen import frozen
from toolkit.memory.parallel.zero_settings import Sizes
from toolkit.memory.parallel.zero_visits import LOGITS, LOSS, UNTIL_BACKWARD, Visit, Weight, elements_inside

NONE: Mapping[str, int] = {}
"""No weight that is there throughout."""

Move = tuple[str | int, int]
"""What is gathered, by a name, and its size; size 0 lets go of it."""


_BUFFER = "buffer of one module"


@dataclass(slots=True)
class _Group:
    """Weights that are gathered together: they are copied out of one buffer, which stays until all were asked for."""

    size: int
    members: dict[str, int]
    waiting: set[str]
    arrived: bool = False


@dataclass(slots=True)
class _Coordinator:
    """`live` are the weights that DeepSpeed has, `left` the memory of some that it let go of; `keys` name both.

    `pinned` says until when autograd has a name for what has such a key.
    """

    order: Sequence[Visit]
    sizes: Sizes
    held: Mapping[str, int]
    live: dict[str, int] = field(default_factory=dict)
    left: dict[str, list[Move]] = field(default_factory=dict)
    pinned: dict[str | int, str] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    gathered: int = 0
    most: int = 0
    flying: dict[str, _Group] = field(default_factory=dict)
    looked_up_to: dict[str, int] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    available: int = 0
    queue: deque[tuple[int, Weight]] = field(default_factory=deque)
    ends: list[int] = field(default_factory=list)
    next_use: list[dict[str, int]] = field(default_factory=list)
    inside: Counter[str] = field(default_factory=Counter)
    turns: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        items = {weight.name: weight.item for visit in self.order for weight in visit.weights}
        self._add({name: elements * items.get(name, 1) for name, elements in self.held.items()})
        self.available = sum(self.held.values())
        asked = [(step, visit) for step, visit in enumerate(self.order) if not visit.ends]  # what DeepSpeed records
        self.queue = deque((step, weight) for step, visit in asked for weight in visit.weights)
        self.ends, self.turns = [0], [0]
        for visit in self.order:
            elements = 0 if visit.ends else sum(weight.elements for weight in visit.weights)
            self.ends.append(self.ends[-1] + elements)
            self.turns.append(self.turns[-1] + (not visit.ends))
        if any(visit.whole for visit in self.order):
            self.inside = elements_inside(self.order)
        later: dict[str, int] = {}
        self.next_use = [{} for _ in self.order]
        for step in range(len(self.order) - 1, -1, -1):
            for weight in self.order[step].weights:
                self.next_use[step][weight.name] = later.get(weight.name, len(self.order))
                if not self.order[step].ends:
                    later[weight.name] = step

    def fetch(self, step: int) -> None:
        """Gathers what a module has that is not there, all of it in one buffer, and waits for what is on its way."""
        visit = self.order[step]
        absent = [one for one in visit.weights if one.name not in self.live and one.name not in self.flying]
        missing = [] if visit.ends else absent
        joined = sum(one.size for one in missing) if len(missing) > 1 and not self.sizes.alone else 0
        if joined:
            self._move(_BUFFER, joined)
        for one in visit.weights:
            if one.name in self.flying:
                self._arrive(self.flying[one.name], one.name)
        self._add({one.name: one.size for one in missing})
        self.available += sum(one.elements for one in missing)
        if joined:
            self._move(_BUFFER, 0, joined)
        for one in visit.weights:
            if until := visit.pins(one):
                self.pinned[self.keys[one.name]] = until
        while self.queue and self.queue[0][0] <= step:
            passed, weight = self.queue.popleft()
            self.looked_up_to[weight.name] = passed

    def _move(self, key: str | int, size: int, freed: int = 0) -> None:
        self.gathered += size - freed
        self.most = max(self.most, self.gathered)
        self.moves.append((key, size))

    def _add(self, weights: Mapping[str, int]) -> None:
        for name, size in weights.items():
            self.live[name] = size
            self.keys[name] = len(self.moves)
            self._move(self.keys[name], size)

    def _arrive(self, group: _Group, weight: str) -> None:
        """All of a group are copied out at once; the buffer goes with the last one that is asked for."""
        if not group.arrived:
            group.arrived = True
            self._add(group.members)
        del self.flying[weight]
        group.waiting.discard(weight)
        if not group.waiting:
            self._move(id(group), 0, group.size)

    def prefetch(self) -> None:
        room = min(self.sizes.max_live_parameters - self.available, self.sizes.prefetch_bucket_size)
        ahead: dict[str, int] = {}
        coming = 0
        while self.queue and coming < room:
            step, weight = self.queue.popleft()
            name = weight.name
            self.looked_up_to[name] = max(self.looked_up_to.get(name, -1), step)
            if name not in self.live and name not in self.flying and name not in ahead:
                ahead[name] = weight.size
                coming += weight.elements
        if len(ahead) == 1 or self.sizes.alone:  # NoGatherCoalescedHandle has no buffer
            self._add(ahead)
        elif ahead:
            group = _Group(sum(ahead.values()), ahead, set(ahead))
            self._move(id(group), group.size)
            self.flying |= dict.fromkeys(ahead, group)
        self.available += coming

    def release(self, step: int) -> None:
        """Frees weights, unless gathering ahead has passed a later use of them, or that use is near."""
        visit = self.order[step]
        soon = self._reused(step) if visit.whole else frozenset()
        for weight in visit.weights:
            wanted = weight.name in soon or self._is_wanted(step, weight.name)
            if weight.name not in visit.kept and weight.name in self.live and not wanted:
                self._let_go(weight)
            if visit.back:
                self._unpin(weight.name)

    def _is_wanted(self, step: int, name: str) -> bool:
        following, later = step + 1, self.next_use[step][name]
        near = (
            not self.order[step].whole
            and later < len(self.order)
            and self.ends[later] - self.ends[following] < self.sizes.max_reuse_distance
        )
        passed = self.turns[self.looked_up_to.get(name, 0)] > self.turns[following]
        return near or passed or name in self.held

    def _reused(self, step: int) -> frozenset[str]:
        """The weights of a whole that are used soon, where modules count with all that is in them, too.

        So they do for a module that is gathered as a whole, and all else is looked at as it is (__params_to_release).
        """
        traversed, names, found = 0, {weight.name for weight in self.order[step].weights}, set[str]()
        for visit in self.order[step + 1 :]:
            if traversed >= self.sizes.max_reuse_distance or found == names:
                break
            if not visit.ends:
                found |= {name for name in names if not visit.path or name.startswith(f"{visit.path}.")}
                traversed += self.inside[visit.path]
        return frozenset(found)

    def _let_go(self, weight: Weight) -> None:
        size = self.live.pop(weight.name)
        self.available -= weight.elements
        if self.keys[weight.name] in self.pinned:
            self.left.setdefault(weight.name, []).append((self.keys[weight.name], size))
        else:
            self._move(self.keys[weight.name], 0, size)

    def _unpin(self, name: str) -> None:
        """After a weight's backward: what was saved for that is gone."""
        if self.pinned.get(self.keys.get(name, -1)) == UNTIL_BACKWARD and name in self.live:
            del self.pinned[self.keys[name]]
        for move in [one for one in self.left.get(name, ()) if self.pinned[one[0]] == UNTIL_BACKWARD]:
            self.left[name].remove(move)
            self._move(move[0], 0, move[1])

    def let_go_of_all(self) -> None:
        """The end of a step: nothing stays."""
        groups = {id(group): group.size for group in self.flying.values()}
        live = [(self.keys[name], size) for name, size in self.live.items()]
        for key, size in [*groups.items(), *live, *(move for moves in self.left.values() for move in moves)]:
            self._move(key, 0, size)


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
            if not of.order[step].ends:
                coordinator.prefetch()
            coordinator.release(step)
        coordinator.let_go_of_all()
        moves += coordinator.moves
    return moves


def gathered(order: Sequence[Visit], sizes: Sizes, held: Mapping[str, int] = NONE) -> Mapping[str, int]:
    """The most elements that are gathered at each place of a step, with the buffers that they are gathered in.

    `held` are weights that are there throughout.
    """
    coordinator = _Coordinator(order, sizes, held)
    most: dict[str, int] = dict.fromkeys((LOGITS, LOSS), coordinator.gathered) if held else {}
    for step, visit in enumerate(order):
        coordinator.most = coordinator.gathered
        coordinator.fetch(step)
        if visit.place in (LOGITS, LOSS):  # what is joined to be gathered is gone before the product runs
            coordinator.most = coordinator.gathered
        if not visit.ends:
            coordinator.prefetch()
        most[visit.place] = max(most.get(visit.place, 0), coordinator.most)
        coordinator.release(step)
    return most
