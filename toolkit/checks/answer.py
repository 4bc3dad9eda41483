"""What a scenario needs over everything that it leaves open, and which cards have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from toolkit.checks.engine import cannot_start
from toolkit.checks.peak_memory import peak_error, peak_floor
from toolkit.checks.situation import all_moved
from toolkit.checks.situations import situation_of
from toolkit.checks.space import Choice, Options
from toolkit.facts.gpu import GenericGpu, Gpu, GpuVariants
from toolkit.facts.gpus import find_gpu, gpus
from toolkit.facts.names import UnknownName
from toolkit.memory.device import workspace_bytes
from toolkit.memory.estimate import Estimate
from toolkit.spec.scenario import Scenario

Bytes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a card has the memory: "yes", "no", or "maybe" where what is open or not well known decides."""

    gpu: str
    verdict: str
    usable: Bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The estimates of a scenario at the extremes of its open fields, between which all others lie.

    `open` are the open fields with what they may be, those only that move memory. `error` is the known
    relative error of the peak. Intervals are in bytes.
    """

    scenario: Scenario
    profile: str
    open: Mapping[str, Options]
    choices: tuple[Choice, ...]
    estimates: tuple[Estimate, ...]
    error: Fraction

    @property
    def largest(self) -> Estimate:
        """The estimate with the largest peak, whose ledger is shown."""
        return max(self.estimates, key=lambda one: one.allocated)

    @property
    def largest_choice(self) -> Choice:
        """The decision for the open fields at which the peak is largest."""
        return max(zip(self.choices, self.estimates, strict=True), key=lambda pair: pair[1].allocated)[0]

    @property
    def allocated(self) -> Bytes:
        """The peak of live tensors."""
        return _hull((one.allocated, one.allocated) for one in self.estimates)

    @property
    def reserved(self) -> Bytes:
        """What the caching allocator holds at the peak."""
        return _hull(one.reserved for one in self.estimates)

    @property
    def device(self) -> Bytes:
        """What the card shows at the peak."""
        return _hull(one.device for one in self.estimates)

    @property
    def parameters(self) -> Bytes:
        """The model's parameters with its adapters."""
        return _hull((one.parameters_total, one.parameters_total) for one in self.estimates)

    @property
    def trainable(self) -> Bytes:
        """The parameters that are trained."""
        return _hull((one.parameters_trainable, one.parameters_trainable) for one in self.estimates)

    def fits(self) -> tuple[Fit, ...]:
        """The card that the scenario names, if any, then every card of the table, smallest first."""
        cards: list[Gpu | GpuVariants | GenericGpu] = sorted(gpus(), key=lambda card: (card.usable_low, card.name))
        named = self.estimates[0].setting.gpu
        found = find_gpu(named) if named else None
        if found is not None and not isinstance(found, UnknownName):
            cards = [found, *(card for card in cards if card.name != found.name)]
        return tuple(self._fit(card) for card in cards)

    def _fit(self, card: Gpu | GpuVariants | GenericGpu) -> Fit:
        """The peak on this card, with its workspace and context, and widened by the known error."""
        usable = (card.usable_low, card.usable_high)
        if self.estimates[0].setting.stack.trainer == "vllm":  # its peak follows the card, and so does what it can hold
            none_starts = all(cannot_start(one, card) for one in self.estimates)
            return Fit(card.name, "no" if none_starts else "maybe", usable)
        moved = card.cublas_workspace - workspace_bytes(self.estimates[0].setting.gpu)
        low, high = self.reserved[0] + moved + card.context_low, self.reserved[1] + moved + card.context_high
        verdict = "maybe"
        if high * (1 + self.error) <= card.usable_low:
            verdict = "yes"
        elif max(low * (1 - self.error), min(map(peak_floor, self.estimates))) > card.usable_high:
            verdict = "no"
        return Fit(card.name, verdict, usable)


def answer(scenario: Scenario, base: Path) -> Answer | None:
    """The answer for a scenario; None where its model is not known.

    Raises one of toolkit.checks.situation.REFUSALS, or TooManySettingsError.
    """
    situation = situation_of(scenario, base)
    if situation is None:
        return None
    fields = situation.fields(*all_moved())
    choices = tuple(situation.space.extremes(fields))
    estimates = tuple(situation.estimate(choice) for choice in choices)
    return Answer(
        scenario,
        situation.profile,
        {name: situation.space.options[name] for name in fields},
        choices,
        estimates,
        max(peak_error(one) for one in estimates),
    )


def _hull(intervals: Iterable[Bytes]) -> Bytes:
    lows, highs = zip(*intervals, strict=True)
    return min(lows), max(highs)
