"""The largest value of a field at which a scenario surely fits on a card, and the largest at which it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from toolkit.checks.questions.limit import Limit, limit_of
from toolkit.checks.questions.search import last_of_all, last_without_gap
from toolkit.checks.situations.answer import Answer, Bytes, answer
from toolkit.checks.situations.situation import all_moved
from toolkit.checks.situations.situations import situation_of
from toolkit.facts.gpu import Card
from toolkit.facts.workspaces import workspace_of
from toolkit.frozen import frozen
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Row
from toolkit.memory.libraries.turns import turns
from toolkit.spec.fields.value import Field, Fixed
from toolkit.spec.scenario import Scenario

REPLAYED = 4
"""Up to so many settings times cards, runs are replayed through the allocator where bounds decide nothing.

Replays are slow: beyond that only the value 1 is replayed.
"""


@frozen
class Found:
    """One value of the field with its answer on the card.

    `more` is the answer at the next value, or at the limit that of the one before.
    """

    value: int
    answer: Answer
    more: Answer | None

    @property
    def largest_row(self) -> Row:
        """The row that holds most of the peak."""
        return max(self.answer.largest.ledger.peak.rows, key=lambda row: row.bytes)

    @property
    def growth(self) -> tuple[int, str] | None:
        """The bytes that the next value adds at the peak, and the row that adds most; None where that is not known."""
        if self.more is None:
            return None
        here, there = _peak_rows(self.answer.largest), _peak_rows(self.more.largest)
        steps = {name: abs(there.get(name, 0) - here.get(name, 0)) for name in here | there}
        step = abs(self.more.largest.allocated - self.answer.largest.allocated)
        return step, max(steps, key=lambda name: steps[name])


def _peak_rows(estimate: Estimate) -> dict[str, int]:
    return {row.name: row.bytes for row in estimate.ledger.peak.rows}


@frozen
class Largest:
    """The largest values that fit on one card; None where not even 1 does.

    `surely` fits together with all values below it, and above `perhaps` nothing fits. `at_one` is the answer at 1,
    which shows what takes too much where nothing fits.
    """

    gpu: str
    usable: Bytes
    surely: Found | None
    perhaps: Found | None
    at_one: Answer


@frozen
class Solution:
    """The largest values of a field on each card, for a scenario without that field.

    `replayed`: replays through the allocator decided, too, and not only bounds of what is reserved.
    """

    scenario: Scenario
    field: str
    limit: Limit
    cards: tuple[Largest, ...]
    replayed: bool


def largest(scenario: Scenario, base: Path, name: str, cards: Sequence[Card]) -> Solution | None:
    """The largest values of a field on each card; None where the model is not known.

    Raises one of toolkit.checks.refusals.REFUSALS, or TooManySettingsError.
    """
    anywhere = scenario.with_fields({"gpu": None, name: None})
    situation = situation_of(anywhere, base)
    if situation is None:
        return None
    architecture = situation.architecture()
    settings = [situation.setting(choice) for choice in situation.space.extremes(situation.fields(*all_moved()))]
    limit = min((limit_of(name, one, architecture) for one in settings), key=lambda one: one.value)
    where = sorted({turn for one in settings for turn in turns(one, name)})
    shared = _Asked(anywhere, base, name, limit.value, where, len(cards) * len(settings) <= REPLAYED)
    found: list[Largest] = []
    alike: dict[tuple[int, ...], Largest] = {}
    for card in cards:
        memory = _memory(card, settings[0].stack.versions)
        if memory in alike:
            found.append(replace(alike[memory], gpu=card.name))
            continue
        there = replace(shared, scenario=_with(anywhere, "gpu", card.name), known={})
        asked = there if settings[0].stack.trainer == "vllm" else shared  # what an engine takes depends on the card
        found.append(alike.setdefault(memory, asked.on(card, there)))
    return Solution(anywhere, name, limit, tuple(found), shared.closely)


def _memory(card: Card, versions: Mapping[str, str]) -> tuple[int, ...]:
    """All of a card that an answer depends on: cards that agree in it have the same answer."""
    workspace = workspace_of(card, versions)
    return card.usable_low, card.usable_high, workspace, card.context_low, card.context_high


@frozen
class _Asked:
    """A scenario with the values of a field that were tried, each answered once."""

    scenario: Scenario
    base: Path
    name: str
    most: int
    turns: Sequence[int]
    closely: bool
    known: dict[int, Answer] = field(default_factory=dict)

    def on(self, card: Card, there: _Asked) -> Largest:
        """The largest values on one card. The answers come from `there`, the same scenario with the card named."""
        surely = last_without_gap(lambda value: self.fits(value, card), self.most, self.turns)
        perhaps = last_of_all(lambda value: self.fit(value, card) != "no", self.most, self.turns)
        usable = (card.usable_low, card.usable_high)
        return Largest(card.name, usable, there.found(surely), there.found(perhaps), there.at(1))

    def fits(self, value: int, card: Card) -> bool:
        """Whether a value surely fits, and the one before: free pieces may happen to suit the larger one better."""
        return self.fit(value, card) == "yes" and (value == 1 or self.fit(value - 1, card) == "yes")

    def fit(self, value: int, card: Card) -> str:
        """The verdict on whether the scenario with that value fits on the card."""
        return self.at(value).fit(card, replays=self.closely or value == 1, alone=True).verdict

    def found(self, value: int | None) -> Found | None:
        """A value with its answer and that of the next one."""
        if value is None:
            return None
        beside = value + 1 if value < self.most else value - 1
        return Found(value, self.at(value), self.at(beside) if beside > 0 else None)

    def at(self, value: int) -> Answer:
        """The answer with that value."""
        if value not in self.known:
            found = answer(_with(self.scenario, self.name, value), self.base)
            assert found is not None, "the model is known"
            self.known[value] = found
        return self.known[value]


def _with(scenario: Scenario, name: str, value: int | str) -> Scenario:
    return scenario.with_fields({name: Field(Fixed(value), scenario.place)})
