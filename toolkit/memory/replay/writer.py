"""Writes down what is allocated and released, in bytes and by block, as scripts say it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from toolkit.memory.context import Scale
from toolkit.memory.programs.program import MAX_RECORDED
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.log import Change
from toolkit.memory.replay.numbered import Numbered, Returning, numbered, returning
from toolkit.memory.replay.script import Pass, Script
from toolkit.memory.size import Amounts, Size

FEW = 3
"""So many blocks are sooner released one by one."""


@dataclass(slots=True)
class _Known:
    """What is known of things at a scale, by their ids: kept with them, so that an id stays a thing's own."""

    bytes: dict[int, tuple[Size, int]] = field(default_factory=dict)
    numbered: dict[int, tuple[Pass, Numbered]] = field(default_factory=dict)
    returning: dict[int, tuple[Script, Returning]] = field(default_factory=dict)
    asks: dict[int, tuple[Pass, bool]] = field(default_factory=dict)


@lru_cache(maxsize=64)
def _known_at(scale: Scale, least: int) -> _Known:
    """What writers at a scale have worked out: several write runs that are alike, one after the other."""
    del scale, least
    return _Known()


class Writer:
    """Writes scripts to events at a scale, without what has no more than `least` bytes.

    `gradients` are blocks that stay until the optimizer is done.
    """

    def __init__(self, events: Events, scale: Scale, least: int = 0) -> None:
        self.events = events
        self.scale = scale
        self._least = least
        self.gradients: list[Block] = []
        self._known = _known_at(scale, least)
        self._holders: dict[Block, int] = {}

    def bytes(self, size: Size) -> int:
        """The bytes of a size."""
        known = self._known.bytes.get(id(size))
        if known is None:
            found = self.scale.bytes(size.parts())
            known = self._known.bytes[id(size)] = size, found if found > self._least else 0
        return known[1]

    def allocate(self, size: Size) -> Block:
        """Adds an allocation."""
        return self.events.allocate(self.bytes(size))

    def allocate_rows(self, rows: Amounts, without: Container[str] = ()) -> list[Block]:
        """One allocation for each row, but for those of some names."""
        return [self.events.allocate(self.scale.bytes(parts)) for row, parts in rows.items() if row not in without]

    def hold(self, block: Block) -> None:
        """One more holder of a block, whose release is one more."""
        self._holders[block] = self._holders.get(block, 1) + 1

    def release(self, *blocks: Block) -> None:
        """Each block has a holder less; without any it is gone."""
        if len(blocks) > FEW and self._holders.keys().isdisjoint(blocks):
            self.events.release_all(blocks)
            return
        for block in blocks:
            left = self._holders.pop(block, 1) - 1
            if left > 1:
                self._holders[block] = left
            if left == 0:
                self.events.release(block)

    def play(self, changes: Iterable[Change], blocks: dict[int, Block], foreign: frozenset[int] = frozenset()) -> None:
        """Writes changes; `blocks` has the block of each key, and keeps what is new."""
        for key, size, stays in changes:
            if size is None:
                if key in blocks:
                    self.release(blocks.pop(key))
            elif key not in blocks and key not in foreign:
                amount = self.bytes(size)
                if amount:
                    block = self.events.allocate(amount)
                    if stays:
                        self.gradients.append(block)
                    else:
                        blocks[key] = block

    def asks(self, run: Pass) -> bool:
        """Whether a pass asks for anything."""
        known = self._known.asks.get(id(run))
        if known is None:
            asks = any(change.size is not None and self.bytes(change.size) for change in run.events)
            known = self._known.asks[id(run)] = run, asks
        return known[1]

    def numbered(self, run: Pass) -> Numbered:
        """A pass at this scale."""
        known = self._known.numbered.get(id(run))
        if known is None:
            known = self._known.numbered[id(run)] = run, numbered(run, self.bytes)
        return known[1]

    def returning(self, script: Script) -> Returning:
        """What follows the forward pass of a stretch at this scale."""
        known = self._known.returning.get(id(script))
        if known is None:
            found = returning(script, self.numbered(script.forward), self.bytes)
            known = self._known.returning[id(script)] = script, found
        return known[1]

    def play_afresh(self, run: Pass, given: Block) -> dict[int, Block]:
        """Writes a pass that finds nothing but what it is given, and returns the block of each key that it leaves."""
        found = self.numbered(run)
        before = self.play_numbered(found, given)
        return {key: before + block if block else given for key, block in found.left.items()}

    def play_numbered(self, found: Numbered, given: Block) -> Block:
        """Writes a pass, and returns how many blocks were there before."""
        events = self.events
        before = events.make(found.sizes)
        for part, moves in enumerate(found.moves):
            if part:
                self.release(given)
            if moves:
                events.move(moves, before)
        if found.stays:
            self.gradients += [before + block for block in found.stays]
        return before


class GrowingWriter(Writer):
    """Writes tokens one after the other, each of which attends to more keys than the one before."""

    def __init__(self, events: Events, batch: int, least: int = 0, *, rank: int = 0) -> None:
        super().__init__(events, Scale(batch, 1, rank=rank), least)
        self._known = _Known()

    def attend(self, keys: int) -> None:
        """From here on every token attends to so many keys: what is of pairs with them is worked out anew."""
        self.scale = Scale(self.scale.batch, 1, rank=self.scale.rank, keys=keys)
        sizes = self._known.bytes
        for place in [place for place, (size, _) in sizes.items() if size.pair]:
            del sizes[place]
        for passes in (self._known.numbered, self._known.asks):
            for place in [place for place, (run, _) in passes.items() if _is_of_pairs(run)]:
                del passes[place]


@lru_cache(maxsize=MAX_RECORDED)
def _is_of_pairs(run: Pass) -> bool:
    return any(change.size is not None and change.size.pair for change in run.events)


def held_inputs(writer: Writer, passing: Amounts, hidden: Block, size: int) -> list[Block]:
    """What a model's code holds during its layers: their first input, of a size, and what is more than that."""
    held = sum(writer.scale.bytes(parts) for parts in passing.values())
    if held < size:
        return [writer.events.allocate(held)]
    writer.hold(hidden)
    return [hidden, writer.events.allocate(held - size)]
