"""A scenario ready for estimates: its open fields, its model, and the estimate at every setting that is tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from toolkit.checks.situations.space import Choice, SettingSpace
from toolkit.checks.situations.spread import Spread
from toolkit.checks.situations.survey import Survey
from toolkit.checks.traces import Traces
from toolkit.facts.models import ModelFacts
from toolkit.facts.multiprocessors import multiprocessors_of
from toolkit.memory.architecture import Architecture, architecture_of
from toolkit.memory.estimate import Estimate, Holdings, estimate, holdings, on_gpu
from toolkit.memory.libraries.unfused_attention import unfused
from toolkit.quantity.interval import Interval
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.settings.setting import Setting


@dataclass(slots=True)
class Situation:
    """One scenario, with the fields that a claim overrides. Each estimate is made once.

    Claims about one scenario on several GPUs share `estimates`: a card changes only the context, the workspaces, and,
    by its number of multiprocessors, the buffers of reductions over tokens. `truths` and `spreads` cache the results
    for claims that state the same. `traces` are the records beside the spec.
    """

    scenario: str
    profile: str
    space: SettingSpace
    facts: ModelFacts
    traces: Traces | None = None
    estimates: dict[tuple[object, ...], Estimate] = field(default_factory=dict)
    spreads: dict[tuple[str, str, Interval], tuple[Spread, Survey]] = field(default_factory=dict)
    truths: dict[tuple[object, ...], Interval] = field(default_factory=dict)
    _own: dict[int, Estimate] = field(default_factory=dict)
    _held: dict[int, Holdings] = field(default_factory=dict)

    def fields(self, *moved: str) -> list[str]:
        """The open fields that move any of these categories ("weights", "parameters", "device", ...)."""
        return [name for name in self.space.options if FIELDS[name].affects & set(moved)]

    def setting(self, choice: Choice | None = None) -> Setting:
        """The setting at a choice; by default at the first value of every open field."""
        return self.space.setting(choice or {})

    def estimate(self, choice: Choice | None = None) -> Estimate:
        """The estimate at a choice. Raises one of REFUSALS."""
        setting = self.setting(choice)
        found = self._own.get(id(setting))
        if found is None:
            found = self._own[id(setting)] = self._shared(setting, choice or {})
        return found

    def _shared(self, setting: Setting, choice: Choice) -> Estimate:
        key = self.space.key(choice)
        if setting.stack.trainer == "vllm":  # it claims a share of the card, whatever it needs
            key = (*key, setting.gpu)
        elif setting.trains and setting.gpu is not None:  # which size the buffers of reductions over tokens
            key = (*key, multiprocessors_of(setting.gpu))
        key = (*key, unfused(setting))  # whether the card has a fused attention kernel
        if key not in self.estimates:
            self.estimates[key] = estimate(setting, self.facts)
        found = self.estimates[key]
        return found if found.setting is setting else on_gpu(found, setting)

    def holdings(self, choice: Choice | None = None) -> Holdings:
        """The memory held between steps at a choice, which is cheaper than an estimate. Raises one of REFUSALS."""
        setting = self.setting(choice)
        found = self._held.get(id(setting))
        if found is None:
            found = self._held[id(setting)] = holdings(setting, self.facts)
        return found

    def architecture(self, choice: Choice | None = None) -> Architecture:
        """The model's architecture with the scenario's head. Raises UnsupportedModel."""
        setting = self.setting(choice)
        return architecture_of(self.facts, setting.head, setting.labels)


def all_moved() -> Iterable[str]:
    """All categories of memory that a field may move: those on which a peak or a fit depends."""
    return frozenset().union(*(spec.affects for spec in FIELDS.values())) - {"time", "identity", "parameters"}
