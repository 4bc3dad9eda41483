"""The rank of adapters, left open while tapes are recorded, so that a model is followed once for all ranks.

Every size is a sum of something and of something times the rank. A tape recorded at the rank `OPEN` holds both in one
number, `something + OPEN * times_rank`, as neither part ever comes near `OPEN`.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.program import Program
from toolkit.memory.size import OPEN, Alive, Size


def at_rank(program: Program, rank: int) -> Program:
    """A program recorded at the open rank, at a rank."""
    return replace(
        program,
        forward=tuple(_alive(alive, rank) for alive in program.forward),
        kept=_alive(program.kept, rank),
        stored=_alive(program.stored, rank),
        backward=tuple(_alive(alive, rank) for alive in program.backward),
        gradients=_size(program.gradients, rank),
    )


def _alive(alive: Alive, rank: int) -> Alive:
    return {row: _size(size, rank) for row, size in alive.items()}


def _size(size: Size, rank: int) -> Size:
    if max(size) < OPEN:
        return size
    return Size(*[part % OPEN + part // OPEN * rank for part in size])
