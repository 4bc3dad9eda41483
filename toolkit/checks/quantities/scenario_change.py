"""Changes between two scenarios: how much more or less memory one takes than the other, in bytes or as a share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field
from fractions import Fraction
from functools import cache
from math import lcm

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.direction import Direction, direction_of
from toolkit.checks.quantities.trainable_parameters import trained
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation, all_moved
from toolkit.checks.situations.space import Choice, SettingSpace, Side, TooManySettingsError
from toolkit.checks.situations.spread import over_settings, side_of
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.facts.accuracy import SUBJECTS, known_error
from toolkit.frozen import frozen
from toolkit.memory.device import context_interval
from toolkit.memory.ledger import Category
from toolkit.quantity import display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value

NO_SCENARIOS = "the claim does not say between which two scenarios it changes"
COUNTED: Mapping[str, Callable[[Situation, Choice], int]] = {"trainable_parameters": trained}
"""Quantities that are counted exactly in both scenarios."""

LESS = Interval(None, Fraction(0))
MORE = Interval(Fraction(0), None)


@frozen
class Amount:
    """Bytes of one scenario by category, and those in no category: CUDA context, and blocks held unused."""

    rows: Mapping[str, int]
    context: tuple[int, int] = (0, 0)
    unused: int = 0

    def whole(self) -> Interval:
        """The sum, within the known errors."""
        known = sum(self.rows.values())
        off = _off(self.rows)
        return Interval(known - off + self.context[0], known + off + self.context[1] + self.unused)


def judge_scenario_change(case: Case) -> Outcome:
    """Judges a difference, share or ratio between two scenarios, with each open field at the same value in both."""
    direction = direction_of(case)
    claim = case.value(Dimension.BYTES) or case.value(Dimension.SHARE) or case.value(Dimension.RATIO)
    if claim is None and direction is None:
        return malformed("amount, percentage or ratio", case)
    claimed = case.claimed(claim) if claim else Claimed(case.text)
    if case.start is None or case.end is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIOS, claimed)
    look = _looks(case)
    if look is None:
        return Outcome(Verdict.UNCHECKED, f"no change of {case.claim.of} is worked out between scenarios", claimed)
    try:
        return _Change(case, claim, claimed, direction, case.start, case.end, look).outcome()
    except (*REFUSALS, TooManySettingsError) as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be computed: {refusal}", claimed)


@frozen
class _Change:
    """One claim of a change, over all settings that the two scenarios leave open together."""

    case: Case
    claim: Value | None
    claimed: Claimed
    direction: Direction | None
    start: Situation
    end: Situation
    look: Callable[[Situation, Choice], Amount]
    known: dict[tuple[tuple[str, object], ...], Interval] = field(default_factory=dict)

    def outcome(self) -> Outcome:
        """The verdict over every common setting."""
        options = {**self.start.space.options, **self.end.space.options}
        space = SettingSpace(options, self.end.space.decide)
        fields = {*self.start.fields(*all_moved()), *self.end.fields(*all_moved())}
        # What grows in both scenarios may grow faster in either: nothing is taken to be monotone.
        spread, found = over_settings(space, fields, self.side_at, grows=False)
        truths = [self.truth(choice) for choice, _ in found.choices]
        whole = Interval.covering(truths)
        dimension = self.claim.unit.dimension if self.claim else Dimension.BYTES
        shown = display_interval(whole, dimension, self.case.reading)
        of = str(self.case.claim.of).replace("_", " ")
        fact = f"from {self.start.scenario} to {self.reached()}, {of}: {self.words()} by {shown}"
        evidence = Evidence(EvidenceKind.COMPUTED, whole, stack=self.end.setting().stack.label(), facts=(fact,))
        repair = f"print {shown}" if spread.verdict is Verdict.DISAGREES else spread.repair
        return Outcome(spread.verdict, fact, self.claimed, (evidence,), spread.boundary, repair)

    def reached(self) -> str:
        """The end of the change in words: another scenario, or the same with the fields that the claim overrides."""
        anew = self.case.claim.overrides if self.case.claim.end is None and self.case.scenario else {}
        said = ", ".join(f"{name} {self.case.scenario.fixed(name)}" for name in anew if self.case.scenario)
        return f"{self.end.scenario} with {said}" if said else self.end.scenario

    def words(self) -> str:
        """The word for the direction in which the shown amount counts."""
        return "less" if self.falls() else "more"

    def falls(self) -> bool:
        """Whether the claim is one of less."""
        return self.direction is Direction.LESS

    def side_at(self, choice: Choice) -> Side:
        """Where the change lies beside the claim at one setting."""
        admitted = [MORE] if self.claim is None else list(self.claimed.readings.values())
        return side_of(admitted, self.truth(choice))

    def truth(self, choice: Choice) -> Interval:
        """The change at one setting, counted in the direction of the claim; computed once."""
        key = tuple(choice.items())
        if key not in self.known:
            self.known[key] = self._change(choice)
        return self.known[key]

    def _change(self, choice: Choice) -> Interval:
        before, after = self.look(self.start, choice), self.look(self.end, choice)
        more = difference(before, after)
        signed = Interval(-_end(more.high), -_end(more.low)) if self.falls() else more
        if self.claim is None or self.claim.unit.dimension is Dimension.BYTES:
            return signed
        first, second = before.whole(), after.whole()
        if self.claim.unit.dimension is Dimension.SHARE:
            return _quotient(signed, first)
        return _quotient(second, first) if _end(second.low) > _end(first.low) else _quotient(first, second)


def difference(before: Amount, after: Amount) -> Interval:
    """The bytes that the second takes more. What both have in common cancels out, and so does its error."""
    rows = {name: after.rows.get(name, 0) - before.rows.get(name, 0) for name in {*before.rows, *after.rows}}
    known, off = sum(rows.values()), _off(rows)
    low, high = known - off - before.unused, known + off + after.unused
    if before.context != after.context:
        low, high = low + after.context[0] - before.context[1], high + after.context[1] - before.context[0]
    return Interval.between(low, high)


def _off(rows: Mapping[str, int]) -> Fraction:
    """The error of a sum of rows: of each category its known error, of others that of activations."""
    errors, unit = _errors()
    return Fraction(sum([abs(size) * errors.get(name, errors["activations"]) for name, size in rows.items()]), unit)


@cache
def _errors() -> tuple[Mapping[str, int], int]:
    """The known error of each category as a multiple of a common unit, and how many of these units make 1."""
    errors = {name: known_error("computed", name) for name in SUBJECTS}
    unit = lcm(*(error.denominator for error in errors.values()))
    return {name: int(error * unit) for name, error in errors.items()}, unit


def _quotient(top: Interval, bottom: Interval) -> Interval:
    """Every quotient of two numbers of the intervals; the second is of memory, and positive."""
    quotients = [_end(one) / _end(two) for one in (top.low, top.high) for two in (bottom.low, bottom.high)]
    return Interval(min(quotients), max(quotients))


def _end(bound: Fraction | None) -> Fraction:
    assert bound is not None
    return bound


def _looks(case: Case) -> Callable[[Situation, Choice], Amount] | None:
    """The function that reads the changing quantity from a scenario; None where it is not known."""
    counted = COUNTED.get(case.claim.of or "")
    if counted is not None:
        return lambda situation, choice: _counted(counted(situation, choice))
    if case.claim.of == "peak_memory":
        metric = case.claim.metric or "device"
        return lambda situation, choice: _peak(situation, choice, metric)
    category = next((each for each in Category if each == case.claim.of), None)
    return None if category is None else lambda situation, choice: _category(situation, choice, category)


def _counted(count: int) -> Amount:
    """Reads a quantity that is counted, and so known without error."""
    return Amount({}, (count, count))


def _peak(situation: Situation, choice: Choice, metric: str) -> Amount:
    estimate = situation.estimate(choice)
    rows: Counter[str] = Counter()
    for rule, size in estimate.peak.sizes:
        rows[rule.category] += size
    if metric == "allocated":
        return Amount(rows)
    unused = estimate.reserved[1] - estimate.allocated
    setting = estimate.setting
    context = context_interval(setting.gpu, setting.stack.versions) if metric == "device" else (0, 0)
    return Amount(rows, context, unused)


def _category(situation: Situation, choice: Choice, category: Category) -> Amount:
    if category is Category.WEIGHTS:
        return Amount({category: situation.holdings(choice).phases[0].of(category)})
    return Amount({category: max(phase.of(category) for phase in situation.estimate(choice).phases)})
