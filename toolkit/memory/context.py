"""All that the rows of one estimate are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import mul

from toolkit.facts.multiprocessors import Multiprocessors
from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture
from toolkit.memory.architecture.mixers import PIECE, SINGLE_PIECES
from toolkit.memory.formula.reduction import staged_bytes
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.parallel.sharing import Sharing
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.size import EFFICIENT_TILE, FLASH_TILE, OUTPUTS, Parts, Size, outputs_and_rows
from toolkit.memory.weights.numerics import Numerics
from toolkit.memory.weights.sums import Sums
from toolkit.spec.settings.setting import Setting


@frozen
class Scale:
    """How often each part of a size counts: in B sequences of S tokens, of which a loss takes `chunk` at a time.

    `rank` is that of the adapters. `keys` are the positions that each token attends to, where they are more than the
    tokens, as while a cache is read; `samples` are those of packed rows. A recurrence goes through `piece` tokens at
    once. `multiprocessors` are the GPU's, None where they are not known. `counts` has the parts of a `Size`, then the
    same times the rank.
    """

    batch: int
    sequence: int
    chunk: int = 0
    rank: int = 0
    keys: int = 0
    piece: int = PIECE
    samples: int = 0
    multiprocessors: Multiprocessors | None = None
    counts: Parts = field(init=False, compare=False)

    def __post_init__(self) -> None:
        tokens = self.batch * self.sequence
        counts = Size(
            token=tokens,
            padded=self.batch * (-(-self.sequence // FLASH_TILE) * FLASH_TILE),
            tiled=self.batch * (-(-self.sequence // EFFICIENT_TILE) * EFFICIENT_TILE),
            pair=tokens * (self.keys or self.sequence),
            position=self.sequence,
            sequence=self.samples or self.batch,
            fixed=1,
            chunk=min(self.chunk, tokens),
            square=self.sequence * self.sequence,
            piece=self.batch * -(-self.sequence // self.piece),
            further=self.batch * max(-(-self.sequence // self.piece) - SINGLE_PIECES, 0),
        )
        object.__setattr__(self, "counts", (*counts, *(self.rank * count for count in counts)))

    @property
    def chunks(self) -> int:
        """How many chunks a loss takes: of every token but the last of each sequence."""
        return -(-self.batch * (self.sequence - 1) // self.chunk) if self.chunk else 1

    def bytes(self, parts: Parts) -> int:
        """The bytes of a size at this batch, sequence and rank."""
        size: int = sum(map(mul, parts, self.counts))
        if self.multiprocessors is not None and len(parts) > OUTPUTS and parts[OUTPUTS]:
            outputs, rows = outputs_and_rows(parts[OUTPUTS])
            size += staged_bytes(outputs, rows * self.batch * self.sequence, self.multiprocessors)
        return size


@frozen
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
    """A setting, its model, dtypes and sums; and the fullest moment of each phase.

    On one of several GPUs `architecture` is of what that one has, and `outline` has all modules of the model.
    `validated` is the context of a pass without gradients between two steps, if there are such.
    """

    setting: Setting
    architecture: Architecture
    numerics: Numerics
    sums: Sums
    scale: Scale
    workspace: int
    rotary: bool
    sharing: Sharing | None = None
    stage: Stage | None = None
    outline: Architecture | None = None
    validated: Context | None = None
    moments: Mapping[PhaseName, Moment] = field(default_factory=dict)

    @property
    def spread(self) -> Spread | None:
        """How FSDP shares a model, where it does."""
        return self.sharing if isinstance(self.sharing, Spread) else None

    @property
    def serves(self) -> bool:
        """Whether an engine runs the model, which claims its memory when it starts."""
        return self.setting.stack.trainer == "vllm"

    @property
    def generates(self) -> bool:
        """Whether the model writes tokens one after the other."""
        return self.architecture.head == "causal-lm" and self.architecture.is_decoder

    def at(self, phase: PhaseName, row: str) -> int:
        """The bytes of a row that differs between moments, at the fullest moment of a phase."""
        moment = self.moments.get(phase)
        return moment.rows.get(row, 0) if moment is not None else 0
