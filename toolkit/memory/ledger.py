"""A ledger: named rows of integer bytes by phase. Totals are computed from rows, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from toolkit.frozen import frozen


class Category(StrEnum):
    """What a row is, as a document would name it."""

    WEIGHTS = "weights"
    ADAPTERS = "adapters"
    GRADIENTS = "gradients"
    OPTIMIZER_STATES = "optimizer_states"
    MASTER_WEIGHTS = "master_weights"
    ACTIVATIONS = "activations"
    LOGITS = "logits"
    KV_CACHE = "kv_cache"
    ENGINE_POOL = "engine_pool"
    TEMPORARY = "temporary"
    WORKSPACE = "workspace"


STEADY = (
    Category.WEIGHTS,
    Category.ADAPTERS,
    Category.MASTER_WEIGHTS,
    Category.GRADIENTS,
    Category.OPTIMIZER_STATES,
    Category.KV_CACHE,
)
"""What follows exactly from shapes and dtypes, and stays from step to step."""


class PhaseName(StrEnum):
    """The moments at which memory can peak, in the order in which they come."""

    LOAD = "load"
    FORWARD_END = "forward_end"
    BACKWARD = "backward"
    OPTIMIZER_STEP = "optimizer_step"
    VALIDATION = "validation"
    PREFILL = "prefill"
    DECODE = "decode"
    SERVE = "serve"


class Row(NamedTuple):
    """One named cause of memory: `bytes` follow from `formula` applied to `inputs`."""

    name: str
    category: Category
    bytes: int
    formula: str
    inputs: Mapping[str, int | str]


@frozen
class Phase:
    """The rows that are alive together at the fullest moment of a phase, which `moment` names."""

    name: PhaseName
    rows: tuple[Row, ...]
    moment: str = ""

    @property
    def total(self) -> int:
        """The sum of the rows, in bytes."""
        return sum(row.bytes for row in self.rows)

    def of(self, *categories: Category) -> int:
        """The sum of the rows of some categories, in bytes."""
        return sum(row.bytes for row in self.rows if row.category in categories)


@frozen
class Ledger:
    """What a setting needs, phase by phase."""

    phases: tuple[Phase, ...]

    @property
    def steady(self) -> int:
        """The most that is held from step to step, in bytes: no peak is lower, however well the rest is known."""
        return max(phase.of(*STEADY) for phase in self.phases)

    @property
    def peak(self) -> Phase:
        """The phase with the largest total; the first of equals."""
        return max(self.phases, key=lambda phase: phase.total)

    def phase(self, name: PhaseName) -> Phase | None:
        """The phase of that name, if the setting has it."""
        return next((phase for phase in self.phases if phase.name is name), None)
