"""A pass as numbers: written once, and then only moved, for a run has as many passes alike as layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from toolkit.frozen import frozen
from toolkit.memory.replay.events import Moves
from toolkit.memory.replay.script import Pass
from toolkit.memory.size import Size

GIVEN = 0
"""Stands for the block that a pass is given; those that it makes are 1, 2 and so on."""


@frozen
class Numbered:
    """A pass at one scale: the `sizes` of the blocks that it makes, in bytes, and its moves.

    Between two parts of `moves` it releases the block that it is given. What `stays` are gradients; `left` are the
    keys that have a block in the end.
    """

    sizes: Sequence[int]
    moves: Sequence[Moves]
    stays: Sequence[int]
    left: Mapping[int, int]


def numbered(run: Pass, bytes_of: Callable[[Size], int]) -> Numbered:
    """A pass that finds nothing but what it is given, with sizes in bytes."""
    sizes: list[int] = []
    parts: list[list[int]] = [[]]
    stays: list[int] = []
    left = {} if run.given is None else {run.given: GIVEN}
    for key, size, remains in run.events:
        if size is None:
            block = left.pop(key, None)
            if block == GIVEN:
                parts.append([])
            elif block is not None:
                parts[-1].append(-block)
        elif key not in left and key not in run.foreign and (amount := bytes_of(size)):
            sizes.append(amount)
            parts[-1].append(len(sizes))
            if remains:
                stays.append(len(sizes))
            else:
                left[key] = len(sizes)
    return Numbered(sizes, [*map(tuple, parts)], stays, left)
