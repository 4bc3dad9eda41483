"""Stretches that each let go of blocks of the one before, written twice and from then on only moved.

So it is with tokens, of which each has a longer cache in place of that of the token before.
"""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.memory.replay.events import Block, Events, Mark, Moves


class Repeats:
    """The newest stretch of events, and its moves once it is known to be like the one before it.

    Two are alike that are of one shape, and ask for blocks of the sizes that they say they ask for.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._shape: object = None
        self._first: Block = 1
        self._blocks = 0
        self._moves: Moves | None = None

    def again(self, shape: object, sizes: Sequence[int]) -> int:
        """Writes one more stretch like the newest, with blocks of these sizes, if moves of this shape are known.

        Returns by how much the numbers of its blocks are above those of the one before; 0 where none is written.
        """
        if self._moves is None or shape != self._shape:
            return 0
        events = self._events
        before = events.make(sizes)
        events.move(self._moves, before, self._blocks, self._first - 1)
        self._first = before + 1
        return self._blocks

    def written(self, shape: object, sizes: Sequence[int], start: Mark) -> None:
        """Takes note of a stretch that was written from a mark on."""
        earlier, first = self._first, start.blocks + 1
        blocks = len(self._events.sizes) - first
        alike = shape == self._shape and first - earlier == blocks == self._blocks
        self._shape, self._first, self._blocks, self._moves = shape, first, blocks, None
        if alike and self._events.sizes[first:] == [*sizes]:
            events = self._events.since(start)
            if min(map(abs, events), default=0) >= earlier:  # it touches nothing but both
                self._moves = tuple(event - earlier + 1 if event > 0 else event + earlier - 1 for event in events)
