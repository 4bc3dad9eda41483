"""The memory that a scenario needs, over all settings that it leaves open, and the cards that have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from pathlib import Path
from types import MappingProxyType

from toolkit.checks.quantities.engine import cannot_start, surely_starts
from toolkit.checks.quantities.peak_memory import peak_error, peak_floor
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation, all_moved
from toolkit.checks.situations.situations import situation_of
from toolkit.checks.situations.space import Choice, Options, SettingSpace, ends_of
from toolkit.facts.contexts import context_of
from toolkit.facts.gpu import Card
from toolkit.facts.gpus import find_gpu, gpus
from toolkit.facts.names import UnknownName
from toolkit.facts.workspaces import workspace_of
from toolkit.frozen import frozen
from toolkit.memory.device import context_interval, device_interval, nccl_bytes
from toolkit.memory.estimate import Estimate, Holdings, on_gpu
from toolkit.memory.formula.workspaces import transformer_engine_bytes
from toolkit.memory.replay.on_card import counted_over, device_over, most_reserved, reserved_over
from toolkit.spec.scenario import Scenario

Bytes = tuple[int, int]


@frozen
class Fit:
    """Whether a scenario fits on a card: "yes", "no", or "maybe" where open fields or bounds decide. Bytes."""

    gpu: str
    verdict: str
    usable: Bytes


@dataclass(slots=True)
class _Kept:
    """What was worked out of an answer, for whoever asks again.

    `reserved` is the most by replays, in bytes; `grown` is by the workspaces of a card's libraries.
    """

    fits: tuple[Fit, ...] = ()
    reserved: int | None = None
    grown: dict[tuple[int, ...], list[int]] = field(default_factory=dict)


@frozen
class Answer:
    """The estimates of a scenario at the extremes of its open fields, between which all others lie.

    `open` are the open fields that move memory, with their options. `error` is the known relative error of the peak.
    Intervals are in bytes. `situation` makes further estimates. `refused` are choices that no formula covers, with the
    reason.
    """

    scenario: Scenario
    profile: str
    open: Mapping[str, Options]
    choices: tuple[Choice, ...]
    estimates: tuple[Estimate, ...]
    error: Fraction
    situation: Situation = field(repr=False, compare=False)
    refused: tuple[tuple[Choice, str], ...] = ()
    kept: _Kept = field(default_factory=_Kept, repr=False, compare=False)

    @property
    def largest(self) -> Estimate:
        """The estimate with the largest peak, whose ledger is shown."""
        return max(self.estimates, key=lambda one: one.allocated)

    @property
    def largest_choice(self) -> Choice:
        """The choice for the open fields at which the peak is largest."""
        return max(zip(self.choices, self.estimates, strict=True), key=lambda pair: pair[1].allocated)[0]

    @property
    def left_out(self) -> Mapping[str, Choice]:
        """The values of open fields that no formula covers, by the reason: those that occur in refused choices only."""
        found: dict[str, Choice] = {}
        for choice, reason in self.refused:
            taken = {name: value for name, value in choice.items() if not self._follows(name, value)}
            found.setdefault(reason, taken)
        return found

    def _follows(self, name: str, value: object) -> bool:
        """Whether formulas cover some choice with this value of a field."""
        return any(choice.get(name) == value for choice in self.choices)

    @property
    def lowers(self) -> Mapping[str, int]:
        """The bytes by which each open field alone can lower the largest peak, the strongest first.

        Values that the formulas refuse are passed over.
        """
        found = {name: self._lowered_by(name) for name in self.open}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _lowered_by(self, name: str) -> int:
        peaks = [self.largest.allocated]
        for value in ends_of(self.open[name]):
            with suppress(*REFUSALS):
                peaks.append(self.situation.estimate({**self.largest_choice, name: value}).allocated)
        return max(0, peaks[0] - min(peaks))

    @property
    def allocated(self) -> Bytes:
        """The peak of live tensors."""
        return _hull((one.allocated, one.allocated) for one in self.estimates)

    @property
    def counted(self) -> Bytes:
        """The same as torch.cuda.max_memory_allocated counts it: of runs on one GPU by whole blocks."""
        return counted_over(self.estimates)

    @property
    def reserved(self) -> Bytes:
        """The most that the caching allocator holds; on a named card, at most the memory of that card."""
        return reserved_over(self.estimates, self.may_run)

    @property
    def device(self) -> Bytes:
        """The device memory at the peak, as nvidia-smi shows it."""
        return device_over(self.estimates, self.may_run)

    @property
    def context(self) -> Bytes:
        """The part of `device` that is the CUDA context, for the named card and releases."""
        return _hull(context_interval(one.setting.gpu, one.setting.stack.versions) for one in self.estimates)

    @property
    def communicators(self) -> Bytes:
        """The part of `device` that NCCL takes outside of torch: 0 on one GPU."""
        return 0, max(nccl_bytes(one.setting.parallel) for one in self.estimates)

    @property
    def parameters(self) -> Bytes:
        """The number of the model's parameters, adapters included."""
        return _hull((one.parameters_total, one.parameters_total) for one in self.estimates)

    @property
    def trainable(self) -> Bytes:
        """The number of trained parameters."""
        return _hull((one.parameters_trainable, one.parameters_trainable) for one in self.estimates)

    def fits(self) -> tuple[Fit, ...]:
        """The fit on each card that the scenario names, then on every other card of the table, smallest first."""
        if not self.kept.fits:
            cards: list[Card] = sorted(gpus(), key=lambda card: (card.usable_low, card.name))
            named = self.named_cards()
            names = {card.name for card in named}
            asked = (*named, *(card for card in cards if card.name not in names))
            self.kept.fits = tuple(self.fit(card, replays=True) for card in asked)
        return self.kept.fits

    def named_cards(self) -> list[Card]:
        """The cards that the scenario names, each once."""
        found = (find_gpu(str(name)) for name in self.scenario.possible("gpu") if name is not None)
        return list({card.name: card for card in found if not isinstance(card, UnknownName)}.values())

    def fit(self, card: Card, *, replays: bool = False, alone: bool = False) -> Fit:
        """Whether the peak fits on this card, with the card's workspace and context, whatever the known error.

        Where bounds decide nothing, `replays` allows to replay the run through the caching allocator, which bounds what
        is reserved more closely: only as far as needed if the question is about this card `alone`, else to the end.
        """
        usable = (card.usable_low, card.usable_high)
        if self.estimates[0].setting.stack.trainer == "vllm":  # what vLLM takes and what it can hold depend on the card
            none_starts = all(cannot_start(one, card) for one in self.estimates)
            starts = all(surely_starts(one, card) for one in self.estimates)
            return Fit(card.name, "no" if none_starts else "yes" if starts else "maybe", usable)
        pairs = list(zip(self.estimates, self._grown(card), strict=True))
        context_low, context_high = context_of(card, self.estimates[0].setting.stack.versions)
        low = min(one.reserved[0] + by for one, by in pairs) + context_low
        beside = max(by + _beside_torch(one) for one, by in pairs) + context_high
        room = card.usable_low / (1 + self.error) - beside
        if max(one.reserved[1] for one in self.estimates) <= room:
            return Fit(card.name, "yes", usable)
        if self._exceeds(low, min(map(peak_floor, self.estimates)), card):
            return Fit(card.name, "no", usable)
        enough = replays and self._most_reserved(floor(room) if alone else None) <= room
        return Fit(card.name, "yes" if enough else "maybe", usable)

    def _most_reserved(self, limit: int | None) -> int:
        """The most that is reserved by replays; nothing is known above a `limit`."""
        if self.kept.reserved is None:
            found = most_reserved(self.estimates, limit)
            if limit is not None:
                return found
            self.kept.reserved = found
        return self.kept.reserved

    def _grown(self, card: Card) -> list[int]:
        """The bytes by which each peak is larger on a card than on the setting's own: for its libraries' workspaces."""
        each = [workspace_of(card, one.setting.stack.versions) for one in self.estimates]
        workspaces = (transformer_engine_bytes(card.name), *each)
        if workspaces not in self.kept.grown:
            there = [on_gpu(one, replace(one.setting, gpu=card.name)) for one in self.estimates]
            more = [after.allocated - one.allocated for one, after in zip(self.estimates, there, strict=True)]
            self.kept.grown[workspaces] = more
        return self.kept.grown[workspaces]

    def may_run(self, one: Estimate) -> bool:
        """Whether an estimate may fit on the card that its setting names; False where it names none."""
        card = find_gpu(one.setting.gpu) if one.setting.gpu is not None else None
        if card is None or isinstance(card, UnknownName):
            return False
        low = one.reserved[0] + context_of(card, one.setting.stack.versions)[0]
        return not self._exceeds(low, peak_floor(one), card)

    def _exceeds(self, low: int, held: Fraction, card: Card) -> bool:
        """Whether a peak of at least `low` bytes, less its error, or the `held` bytes exceed the memory of a card."""
        return max(low * (1 - self.error), held) > card.usable_high


def answer(scenario: Scenario, base: Path, beside: Mapping[str, Options] = MappingProxyType({})) -> Answer | None:
    """The answer for a scenario; None where its model is not known. `beside` are fields that are open, too.

    Raises one of toolkit.checks.refusals.REFUSALS, or TooManySettingsError.
    """
    situation = situation_of(scenario, base)
    if situation is None:
        return None
    if beside:
        situation.space = SettingSpace({**situation.space.options, **beside}, situation.space.decide)
    fields = situation.fields(*all_moved())
    choices, estimates, refused = _estimates(situation, situation.space.extremes(fields))
    return Answer(
        scenario,
        situation.profile,
        {name: situation.space.options[name] for name in fields},
        choices,
        estimates,
        max(peak_error(one) for one in estimates),
        situation,
        refused,
    )


def _estimates(
    situation: Situation, choices: Iterable[Choice]
) -> tuple[tuple[Choice, ...], tuple[Estimate, ...], tuple[tuple[Choice, str], ...]]:
    """The choices that formulas cover, their estimates, and the refused choices; raises where all are refused."""
    followed: list[tuple[Choice, Estimate]] = []
    refused: list[tuple[Choice, str]] = []
    for choice in choices:
        try:
            followed.append((choice, situation.estimate(choice)))
        except REFUSALS as refusal:
            first = refusal
            refused.append((choice, str(refusal)))
    if not followed:
        raise first
    return tuple(one for one, _ in followed), tuple(one for _, one in followed), tuple(refused)


def held_at_extremes(scenario: Scenario, base: Path) -> tuple[Holdings, ...]:
    """The memory held between steps at the extremes of the open fields; empty for an unknown model.

    Raises one of toolkit.checks.refusals.REFUSALS, or TooManySettingsError.
    """
    situation = situation_of(scenario, base)
    if situation is None:
        return ()
    return tuple(situation.holdings(choice) for choice in situation.space.extremes(situation.fields(*all_moved())))


def _beside_torch(one: Estimate) -> int:
    """The most bytes that communicators take outside of torch and the context: 0 on one GPU."""
    _, most = device_interval((0, 0), one.setting.gpu, one.setting.parallel)
    return most - context_interval(one.setting.gpu)[1]


def _hull(intervals: Iterable[Bytes]) -> Bytes:
    lows, highs = zip(*intervals, strict=True)
    return min(lows), max(highs)
