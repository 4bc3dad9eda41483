"""What fully_shard adds to the moments of a step of a model whose layers differ in size, as hybrids and mixtures have.

A layer runs beside the parts of its own neighbours: the one that comes, and the one whose gradients are on their way.
Source: torch/distributed/fsdp/_fully_shard/_fsdp_param_group.py (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toolkit.frozen import frozen
from toolkit.memory.parallel.shard_moments import BUFFER, GATHERED, STREAM, Shards
from toolkit.memory.parallel.shard_now import Now
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.programs.stretch import Stretch, having, just_before
from toolkit.memory.tape.gradients import GRADIENTS


@frozen
class Layer:
    """The bytes of one layer as it is gathered, of its gradients as they are reduced, and of a GPU's part of these."""

    gathered: int
    reduced: int
    part: int


@frozen
class UnlikeShards(Shards):
    """The same, for layers that are each as large as `each` says, in the model's order.

    It is given a stretch for every layer that may be the fullest, by its place. What Shards has one number for is that
    of the largest.
    """

    each: tuple[Layer, ...] = ()

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The forward pass: when a layer has been copied out, the buffers of two units are there."""
        there = {GRADIENTS: self.whole or self.earlier}
        first = self.root or self.embedding
        embedded = {GATHERED: self.root + self.embedding, BUFFER: first, STREAM: step.hidden}
        yield Stretch("embedding", {**there, **embedded})
        rows = {GATHERED: self._held_at(0), BUFFER: first + self._size(0), STREAM: step.hidden}
        yield Stretch("first layer", {**there, **rows})
        for stretch in stretches:
            shown, place = having(stretch, there), stretch.place
            if place is None:
                yield from self._at_end(step, shown)
                continue
            held, own = self._held_at(place), self._size(place)
            before = self._size(place - 1) if place else first
            yield just_before(shown, {GATHERED: held, BUFFER: before + own, STREAM: step.hidden})
            yield having(shown, {GATHERED: held, BUFFER: own})

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The backward pass: the layer that runs, the next one's buffer, and the last one's gradients."""
        for stretch in stretches:
            if stretch.place is None:
                yield from Shards.backward(self, step, (stretch,))
            else:
                yield self._in_turn(step, stretch, stretch.place)

    def _in_turn(self, step: Step, stretch: Stretch, place: int) -> Stretch:
        is_last = place == self.layers - 1
        end = self.widens * self.end if self.trains else 0
        ahead = 0
        if self.reshards:
            ahead = self._size(place - 1) if place else self.embedding
        sent = end if is_last else self._sent(place + 1)
        parts = self.end_part + self._parts(place)
        now = Now(self._held_at(place), ahead, sent, parts, self._fresh(step), gone=self._gone(place))
        return self._shown(stretch, now)

    def _held_at(self, place: int) -> int:
        """What is gathered while a layer runs."""
        return self._kept + (self._size(place) if self.reshards else self._left(place + 1))

    def _size(self, place: int) -> int:
        return self.each[place].gathered

    def _sent(self, place: int) -> int:
        return self.each[place].reduced

    def _parts(self, place: int) -> int:
        return sum([one.part for one in self.each[place + 1 :]])

    def _gone(self, place: int) -> int:
        layers = sum([one.reduced for one in self.each[place + 1 :]])
        return (self.end if self.trains else 0) + layers // self.widens

    def _left(self, count: int) -> int:
        return 0 if self.reshards else sum([one.gathered for one in self.each[:count]])
