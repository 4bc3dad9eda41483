"""A pass as numbers: written once, and then only moved, for a run has as many passes alike as layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from toolkit.frozen import frozen
from toolkit.memory.replay.events import Moves
from toolkit.memory.replay.log import Change
from toolkit.memory.replay.script import NO_PASS, Pass, Script
from toolkit.memory.size import Size

GIVEN = 0
"""Stands for the block that a pass is given; those that it makes are 1, 2 and so on."""

GRADIENT = -1
"""Stands for the block that a pass backward is given."""

Part = tuple[Moves, int | None]
"""Moves, and which block from outside has a holder less after them, if any."""


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


@frozen
class Returning:
    """What follows the forward pass of a stretch that is not run again, at one scale.

    Its blocks are numbered on from the `linked` ones of that pass: `sizes` are those of the pass backward. `leaves` are
    the parts of what goes when the outermost function returns, after which the keys that are `there` have a block;
    `moves` and `left` are the same of the pass backward, and what `stays` are its gradients. `saves`: the stretch holds
    its own result, too.
    """

    linked: int
    leaves: Sequence[Part]
    there: Mapping[int, int]
    saves: bool
    sizes: Sequence[int]
    moves: Sequence[Part]
    stays: Sequence[int]
    left: Mapping[int, int]


def returning(script: Script, forward: Numbered, bytes_of: Callable[[Size], int]) -> Returning:
    """What follows a forward pass that found nothing but what it was given; nothing backward that runs it again."""
    left, result = dict(forward.left), script.forward.result
    linked = len(forward.sizes)
    outside = {GIVEN, GRADIENT, *(number for key, number in left.items() if key == result)}
    mine = [change for change in script.leaving if change.key != result]
    leaves = _Writing(left, outside, linked)
    leaves.play(mine, bytes_of)
    there, saves = dict(left), result is not None and len(mine) == len(script.leaving)
    back = NO_PASS if script.apart else script.backward
    backward = _Writing(left, outside, linked)
    if back.given is not None:
        left[back.given] = GRADIENT
    backward.play(back.events, bytes_of, back.foreign)
    return Returning(linked, leaves.parts(), there, saves, backward.sizes, backward.parts(), backward.stays, left)


class _Writing:
    """Writes changes as parts: `left` has the number of each key, and keeps what is new."""

    def __init__(self, left: dict[int, int], outside: set[int], linked: int) -> None:
        self._left = left
        self._outside = outside
        self._linked = linked
        self._done: list[Part] = []
        self._moves: list[int] = []
        self.sizes: list[int] = []
        self.stays: list[int] = []

    def play(
        self, changes: Iterable[Change], bytes_of: Callable[[Size], int], foreign: frozenset[int] = frozenset()
    ) -> None:
        """As a writer does it with blocks."""
        left = self._left
        for key, size, remains in changes:
            if size is None:
                self._release(left.pop(key, None))
            elif key not in left and key not in foreign and (amount := bytes_of(size)):
                self.sizes.append(amount)
                number = self._linked + len(self.sizes)
                self._moves.append(number)
                if remains:
                    self.stays.append(number)
                else:
                    left[key] = number

    def _release(self, number: int | None) -> None:
        if number in self._outside:
            self._done.append((tuple(self._moves), number))
            self._moves = []
        elif number is not None:
            self._moves.append(-number)

    def parts(self) -> list[Part]:
        """All that was written."""
        return [*self._done, (tuple(self._moves), None)] if self._moves else self._done
