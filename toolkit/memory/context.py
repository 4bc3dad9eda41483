"""All that the rows of one estimate are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import mul

from toolkit.memory.architecture import Architecture
from toolkit.memory.ledger import PhaseName
from toolkit.memory.numerics import Numerics
from toolkit.memory.size import Size
from toolkit.memory.sums import Sums
from toolkit.spec.setting import Setting

FLASH_TILE = 128
"""Positions to which flash-attention pads a sequence in its backward."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How often each part of a `Size` counts: in B sequences of S tokens, of which a loss takes `chunk` at a time."""

    batch: int
    sequence: int
    chunk: int = 0
    counts: Size = field(init=False)

    def __post_init__(self) -> None:
        tokens = self.batch * self.sequence
        counts = Size(
            token=tokens,
            padded=self.batch * (-(-self.sequence // FLASH_TILE) * FLASH_TILE),
            pair=tokens * self.sequence,
            position=self.sequence,
            sequence=self.batch,
            fixed=1,
            chunk=min(self.chunk, tokens),
        )
        object.__setattr__(self, "counts", counts)

    def bytes(self, size: Size) -> int:
        """The bytes of a size at this batch and sequence."""
        return sum(map(mul, size, self.counts))


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment within a phase: its name, and the bytes of the rows that differ between moments."""

    name: str
    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        """The sum of the rows, in bytes."""
        return sum(self.rows.values())


@dataclass(slots=True)
class Context:
    """A setting, its model, dtypes and sums; the fullest moment of each phase, and the most of each row."""

    setting: Setting
    architecture: Architecture
    numerics: Numerics
    sums: Sums
    scale: Scale
    workspace: int
    rotary: bool
    caches_rotary: bool
    moments: dict[PhaseName, Moment] = field(default_factory=dict)
    widest: dict[str, int] = field(default_factory=dict)

    def at(self, phase: PhaseName, row: str) -> int:
        """The bytes of a row that differs between moments, at the fullest moment of a phase."""
        moment = self.moments.get(phase)
        return moment.rows.get(row, 0) if moment is not None else 0
