"""The sizes of a ledger's rows, phase by phase: enough for totals, and what the rows are made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from toolkit.memory.formula.workspaces import OF_TRANSFORMER_ENGINE
from toolkit.memory.inputs import Inputs
from toolkit.memory.ledger import Category, Ledger, Phase, PhaseName, Row
from toolkit.memory.rows.rule import RowRule
from toolkit.spec.settings.setting import Setting


class PhaseSizes(NamedTuple):
    """The bytes of each row at the fullest moment of a phase, which `moment` names."""

    name: PhaseName
    sizes: tuple[tuple[RowRule, int], ...]
    moment: str = ""

    @property
    def total(self) -> int:
        """The sum of all rows, in bytes."""
        return sum([size for _, size in self.sizes])

    def of(self, *categories: Category) -> int:
        """The sum of the rows of some categories, in bytes."""
        return sum([size for rule, size in self.sizes if rule.category in categories])

    def with_workspaces(self, workspace: int, before: int, own: int = 0) -> PhaseSizes:
        """The same phase on a GPU with workspaces of so many bytes, instead of so many before.

        TransformerEngine's, where there is one, has a size of its `own`.
        """
        changed = (
            (rule, own if rule.name == OF_TRANSFORMER_ENGINE else size * workspace // before)
            if rule.category is Category.WORKSPACE
            else (rule, size)
            for rule, size in self.sizes
        )
        return self._replace(sizes=tuple(changed))


def ledger_of(setting: Setting, phases: tuple[PhaseSizes, ...]) -> Ledger:
    """The ledger that has these sizes at a setting."""
    return Ledger(tuple(Phase(phase.name, tuple(_rows(setting, phase)), phase.moment) for phase in phases))


def _rows(setting: Setting, phase: PhaseSizes) -> Iterator[Row]:
    for rule, size in phase.sizes:
        yield Row(rule.name, rule.category, size, rule.formula, Inputs(setting, rule.fields))
