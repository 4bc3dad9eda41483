"""Writes down what is allocated and released, in bytes and by block, as scripts say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from toolkit.memory.context import Scale
from toolkit.memory.programs.program import MAX_RECORDED
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.log import Change
from toolkit.memory.replay.numbered import Numbered, numbered
from toolkit.memory.replay.script import Pass, Script
from toolkit.memory.size import Amounts, Size

FEW = 3
"""So many blocks are sooner released one by one."""


Bytes = dict[int, tuple[Size, int]]
Passes = dict[int, tuple[Pass, Numbered]]
"""What is known of a thing, by its id: kept with it, so that the id stays its own."""


@lru_cache(maxsize=64)
def _known_at(scale: Scale, least: int) -> tuple[Bytes, Passes]:
    """What writers at a scale have worked out: several write runs that are alike, one after the other."""
    del scale, least
    return {}, {}


class Writer:
    """Writes scripts to events at a scale, without what has no more than `least` bytes.

    `gradients` are blocks that stay until the optimizer is done.
    """

    def __init__(self, events: Events, scale: Scale, least: int = 0) -> None:
        self.events = events
        self.scale = scale
        self._least = least
        self.gradients: list[Block] = []
        self._bytes, self._numbered = _known_at(scale, least)
        self._holders: dict[Block, int] = {}

    def bytes(self, size: Size) -> int:
        """The bytes of a size."""
        known = self._bytes.get(id(size))
        if known is None:
            found = self.scale.bytes(size.parts())
            known = self._bytes[id(size)] = size, found if found > self._least else 0
        return known[1]

    def allocate(self, size: Size) -> Block:
        """Adds an allocation."""
        return self.events.allocate(self.bytes(size))

    def allocate_rows(self, rows: Amounts) -> list[Block]:
        """One allocation for each row."""
        return [self.events.allocate(self.scale.bytes(parts)) for parts in rows.values()]

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
        return any(change.size is not None and self.bytes(change.size) for change in run.events)

    def numbered(self, run: Pass) -> Numbered:
        """A pass at this scale."""
        known = self._numbered.get(id(run))
        if known is None:
            known = self._numbered[id(run)] = run, numbered(run, self.bytes)
        return known[1]

    def play_afresh(self, run: Pass, given: Block) -> dict[int, Block]:
        """Writes a pass that finds nothing but what it is given, and returns the block of each key that it leaves."""
        found, events = self.numbered(run), self.events
        before = len(events.sizes) - 1
        events.sizes += found.sizes
        for part, moves in enumerate(found.moves):
            if part:
                self.release(given)
            if moves:
                events.move(moves, before)
        self.gradients += [before + block for block in found.stays]
        return {key: before + block if block else given for key, block in found.left.items()}


class GrowingWriter(Writer):
    """Writes tokens one after the other, each of which attends to more keys than the one before."""

    def __init__(self, events: Events, batch: int, least: int = 0) -> None:
        super().__init__(events, Scale(batch, 1), least)
        self._bytes, self._numbered = {}, {}

    def attend(self, keys: int) -> None:
        """From here on every token attends to so many keys: what is of pairs with them is worked out anew."""
        self.scale = Scale(self.scale.batch, 1, keys=keys)
        self._bytes = {place: known for place, known in self._bytes.items() if not known[0].pair}
        self._numbered = {place: known for place, known in self._numbered.items() if not _is_of_pairs(known[0])}


@lru_cache(maxsize=MAX_RECORDED)
def _is_of_pairs(run: Pass) -> bool:
    return any(change.size is not None and change.size.pair for change in run.events)


@dataclass(slots=True)
class Played:
    """A stretch whose forward pass is written: its script, its blocks by key, its input and its result."""

    script: Script
    blocks: dict[int, Block]
    given: Block
    result: Block
    logits: Block = 0


def play_forward(writer: Writer, script: Script, given: Block, *, holds: bool = False, workspace: int = 0) -> Played:
    """Writes a forward pass on an input, which the script itself releases.

    `holds`: its logits get one more holder. The first product asks for `workspace` bytes, which stay.
    """
    forward = script.forward
    logits = 0
    if script.product is None:
        writer.events.allocate(workspace)
    if not holds and not workspace:
        blocks = writer.play_afresh(forward, given)
    else:
        blocks = {} if forward.given is None else {forward.given: given}
        for number, change in enumerate(forward.events, 1):
            writer.play((change,), blocks)
            if holds and change.key == script.logits and change.size is not None:
                logits = blocks.get(change.key, 0)
                writer.hold(logits)
            if number == script.product:
                writer.events.allocate(workspace)
    result = blocks.get(forward.result, 0) if forward.result is not None else 0
    return Played(script, blocks, given, result, logits)


def leave(writer: Writer, played: Played) -> None:
    """Writes what goes when the outermost function returns; what was handed on has another holder."""
    result = played.script.forward.result
    mine = [change for change in played.script.leaving if change.key != result]
    if result is not None and len(mine) == len(played.script.leaving) and played.result:
        writer.hold(played.result)  # saved by the stretch itself, too
    writer.play(mine, played.blocks)


def play_backward(writer: Writer, played: Played, gradient: Block, workspace: int = 0) -> Block:
    """Writes a backward pass on the gradient of the result, and returns the block of the input's.

    Its first product asks for `workspace` bytes, which stay.
    """
    script = played.script
    backward = script.backward
    first = script.product_back or 0
    if not first:
        writer.events.allocate(workspace)
    if script.apart and not script.chosen and not (workspace and first):
        blocks = writer.play_afresh(backward, gradient)
    else:
        blocks = played.blocks
        if script.apart:
            blocks = {again: played.blocks.pop(kept, 0) for kept, again in script.chosen}
        if backward.given is not None:
            blocks[backward.given] = gradient
        writer.play(backward.events[:first], blocks, backward.foreign)
        writer.events.allocate(workspace if first else 0)
        writer.play(backward.events[first:], blocks, backward.foreign)
    left = blocks.pop(backward.result, 0) if backward.result is not None else 0
    if script.apart:  # what ran again is gone as a whole: its graph, its result, and the input that was kept for it
        writer.release(*blocks.values(), played.given)
    return left


def held_inputs(writer: Writer, passing: Amounts, hidden: Block, size: int) -> list[Block]:
    """What a model's code holds during its layers: their first input, of a size, and what is more than that."""
    held = sum(writer.scale.bytes(parts) for parts in passing.values())
    if held < size:
        return [writer.events.allocate(held)]
    writer.hold(hidden)
    return [hidden, writer.events.allocate(held - size)]
