"""The effect of a change on a scenario's memory: phase by phase, row by row, and on which cards it then fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from toolkit.checks.situations.answer import Answer, answer
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.situations import situation_of
from toolkit.checks.situations.space import Choice, Options
from toolkit.frozen import frozen
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.fields.value import Field, Range
from toolkit.spec.scenario import Scenario


@frozen
class RowChange:
    """The bytes of one row, or of a total, before and after."""

    name: str
    before: int
    after: int

    @property
    def difference(self) -> int:
        """The bytes added; negative where it takes less."""
        return self.after - self.before

    @property
    def percent(self) -> float | None:
        """The difference in percent of the bytes before; None where there were none."""
        return 100 * self.difference / self.before if self.before else None


@frozen
class PhaseChange:
    """One phase of both scenarios: its rows, in the order of the ledger, and its total."""

    phase: PhaseName
    rows: tuple[RowChange, ...]

    @property
    def total(self) -> RowChange:
        """The sum of the rows."""
        return RowChange("total", sum(row.before for row in self.rows), sum(row.after for row in self.rows))


@frozen
class Comparison:
    """A scenario before and after a change, which `said` describes.

    Both estimates take the open fields at the `choice` that makes the peak before the change largest; fields that only
    the change opens are taken where they make the peak after it largest (`changed_choice`).
    """

    said: str
    before: Answer
    after: Answer
    choice: Choice
    changed_choice: Choice
    estimate_before: Estimate
    estimate_after: Estimate

    @property
    def peak(self) -> RowChange:
        """The peak of allocated memory."""
        return RowChange("peak", self.estimate_before.allocated, self.estimate_after.allocated)

    def phases(self) -> Iterator[PhaseChange]:
        """Every phase that either scenario has."""
        before, after = self.estimate_before.ledger, self.estimate_after.ledger
        for name in PhaseName:
            phases = [phase for phase in (before.phase(name), after.phase(name)) if phase is not None]
            if not phases:
                continue
            sizes = [
                {row.name: row.bytes for row in phase.rows} if phase is not None else {}
                for phase in (before.phase(name), after.phase(name))
            ]
            names = dict.fromkeys(row.name for phase in phases for row in phase.rows)
            rows = (RowChange(row, sizes[0].get(row, 0), sizes[1].get(row, 0)) for row in names)
            yield PhaseChange(name, tuple(rows))

    def newly(self, verdict: str = "yes") -> list[str]:
        """The cards that have a verdict after the change that they did not have before."""
        had = {fit.gpu for fit in self.before.fits() if fit.verdict == verdict}
        return [fit.gpu for fit in self.after.fits() if fit.verdict == verdict and fit.gpu not in had]

    def no_longer(self) -> list[str]:
        """The cards that surely fit before the change and do not after it."""
        have = {fit.gpu for fit in self.after.fits() if fit.verdict == "yes"}
        return [fit.gpu for fit in self.before.fits() if fit.verdict == "yes" and fit.gpu not in have]


FOLLOWS: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("optimizer_implementation", "optimizer_states"),
    "head": ("labels",),
}
"""Fields that qualify another: when that one changes they are dropped, unless the change states them, too."""


def changed_scenario(scenario: Scenario, fields: Mapping[str, Field | None]) -> Scenario:
    """The scenario with new values of fields, and without the fields that qualified the old ones."""
    follows = {name: None for said in fields for name in FOLLOWS.get(said, ())}
    return scenario.with_fields({**follows, **fields})


def compare(before: Answer, changed: Scenario, said: str, base: Path) -> Comparison | None:
    """An answered scenario compared with a changed one; None where the model is not known.

    Raises one of toolkit.checks.refusals.REFUSALS, or TooManySettingsError.
    """
    situation, after = situation_of(changed, base), answer(changed, base)
    if situation is None or after is None:
        return None
    at = before.largest_choice
    changed_at = _decided(situation, after, at)
    return Comparison(said, before, after, at, changed_at, before.largest, situation.estimate(changed_at))


def _decided(situation: Situation, after: Answer, choice: Choice) -> Choice:
    """The choice for the changed scenario: as before in what both leave open, else where the peak is largest."""
    shared = {
        name: value
        for name, value in choice.items()
        if name in situation.space.options and _among(situation.space.options[name], value)
    }
    pairs = zip(after.choices, after.estimates, strict=True)
    alike = [(one, estimate) for one, estimate in pairs if all(one.get(n, v) == v for n, v in shared.items())]
    if not alike:
        return shared
    largest = max(alike, key=lambda pair: pair[1].allocated)[0]
    return {**largest, **shared}


def _among(options: Options, value: object) -> bool:
    if isinstance(options, Range):
        return isinstance(value, int) and options.low <= value <= options.high
    return value in options
