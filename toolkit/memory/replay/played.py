"""Stretches as a writer plays them: forward, what goes when they return, and backward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.memory.replay.events import Block
from toolkit.memory.replay.numbered import GIVEN, GRADIENT, Part, Returning
from toolkit.memory.replay.script import Script
from toolkit.memory.replay.writer import Writer

NOWHERE = -2
"""No number of a block."""


@dataclass(slots=True)
class Played:
    """A stretch whose forward pass is written: its script, its blocks by key, its input and its result.

    As long as all that was written of it `follows` so many blocks, `keys` have their numbers (see Numbered, Returning):
    then nothing of it but its input and its result has a second holder. Whoever asks for `blocks` may give them one.
    """

    script: Script
    given: Block
    result: Block
    logits: Block = 0
    follows: Block | None = None
    keys: Mapping[int, int] = field(default_factory=dict)
    written: dict[int, Block] | None = None

    @property
    def blocks(self) -> dict[int, Block]:
        """The block of each key, which may change."""
        if self.written is None:
            follows = self.follows or 0
            self.written = {key: follows + one if one else self.given for key, one in self.keys.items()}
        return self.written

    def follow(self, writer: Writer) -> Returning | None:
        """What comes after the forward pass; None where blocks are known by their keys alone."""
        return writer.returning(self.script) if self.written is None else None


def play_forward(
    writer: Writer, script: Script, given: Block, *,
    holds: bool = False, workspace: int = 0, named: Sequence[Block] = (),
) -> Played:  # fmt: skip
    """Writes a forward pass on an input, which the script itself releases.

    `holds`: its logits get one more holder. The first product asks for `workspace` bytes, which stay. What is `named`
    by the code of the model under an output layer goes as that returns.
    """
    forward = script.forward
    if script.inner is None:
        writer.release(*named)
        named = ()
    if script.product is None:
        writer.events.allocate(workspace)
    if not holds and not workspace and not named:
        found = writer.numbered(forward)
        before = writer.play_numbered(found, given)
        number = found.left.get(forward.result, NOWHERE) if forward.result is not None else NOWHERE
        result = 0 if number == NOWHERE else before + number if number else given
        return Played(script, given, result, 0, before, found.left)
    logits = 0
    blocks = {} if forward.given is None else {forward.given: given}
    for number, change in enumerate(forward.events, 1):
        writer.play((change,), blocks)
        if holds and change.key == script.logits and change.size is not None:
            logits = blocks.get(change.key, 0)
            writer.hold(logits)
        if number == script.product:
            writer.events.allocate(workspace)
        if number == script.inner:
            writer.release(*named)
    result = blocks.get(forward.result, 0) if forward.result is not None else 0
    return Played(script, given, result, logits, written=blocks)


def leave(writer: Writer, played: Played) -> None:
    """Writes what goes when the outermost function returns; what was handed on has another holder."""
    follows = played.follow(writer)
    if follows is not None:
        if follows.saves and played.result:
            writer.hold(played.result)
        _write(writer, played, follows.leaves, 0)
        played.keys = follows.there
        return
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
    waits = workspace and first
    follows = None if script.apart or waits else played.follow(writer)
    if follows is not None:
        return _return(writer, played, follows, gradient)
    if script.apart and not script.chosen and not waits:
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


def _return(writer: Writer, played: Played, follows: Returning, gradient: Block) -> Block:
    """Writes a backward pass that follows its forward pass, and returns the block of the input's gradient."""
    events, links = writer.events, played.follows or 0
    before = events.make(follows.sizes)
    after = before - follows.linked
    _write(writer, played, follows.moves, gradient, before)
    writer.gradients += [after + number for number in follows.stays]
    known = {GIVEN: played.given, GRADIENT: gradient}
    blocks = {
        key: known[number] if number in known else number + (links if number <= follows.linked else after)
        for key, number in follows.left.items()
    }
    played.written = blocks
    result = played.script.backward.result
    return blocks.pop(result, 0) if result is not None else 0


def _write(writer: Writer, played: Played, parts: Iterable[Part], gradient: Block, before: Block = 0) -> None:
    """Writes parts of what follows a forward pass."""
    links, linked = played.follows or 0, len(writer.numbered(played.script.forward).sizes)
    for moves, ends in parts:
        if moves:
            writer.events.move(moves, before, linked, links)
        if ends is not None:
            writer.release(played.given if ends == GIVEN else gradient if ends == GRADIENT else played.result)


def held_results(writer: Writer, layers: Iterable[Played]) -> list[Block]:
    """The keys and values that layers gave a cache, which the model's result holds, too."""
    held = [played.blocks.get(key, 0) for played in layers for key in played.script.named]
    for block in held:
        writer.hold(block)
    return held
