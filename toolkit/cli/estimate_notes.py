"""What `toolkit estimate` says beside an answer: releases that are not known, and sizes that a config leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from toolkit.facts.models import ModelFacts, model_of
from toolkit.facts.releases import UnknownRelease, release
from toolkit.spec.fields.value import Fixed
from toolkit.spec.scenario import Scenario

_STACK = "stack."


def unsaid_gpus(scenario: Scenario) -> str | None:
    """Why a scenario is of no number of GPUs: it says how they share a run, and not how many they are."""
    strategy = scenario.fields.get("parallel.strategy")
    if strategy is None or "parallel.gpus" in scenario.fields or strategy.value == Fixed("none"):
        return None
    name = strategy.value.value if isinstance(strategy.value, Fixed) else "several"
    return f"parallel.strategy {name}: on how many GPUs it runs is not said (add --parallel-gpus N)"


def notes_of(scenario: Scenario, base: Path) -> Iterator[str]:
    """What is to be known of a scenario beside its answer."""
    for name, said in scenario.fields.items():
        if name.startswith(_STACK) and isinstance(said.value, Fixed):
            found = release(name.removeprefix(_STACK), str(said.value.value))
            if isinstance(found, UnknownRelease):
                nearest = f"; nearest: {', '.join(found.nearest)}" if found.nearest else ""
                taken = ", and taken for what the newest known does" if found.later else ""
                yield f"{name} {found.version}: {found.reason}{taken}{nearest}"
    yield from _left_out(scenario, base)


def _left_out(scenario: Scenario, base: Path) -> Iterator[str]:
    from toolkit.memory.architecture.by_default import sizes_by_default

    facts = model_of(str(scenario.model), base=base)
    if isinstance(facts, ModelFacts) and not facts.verified and (sizes := sizes_by_default(facts)):
        said = ", ".join(f"{key} {value:,}" for key, value in sizes.items())
        kind = facts.config["model_type"]
        yield f"{facts.id} does not say all of the model's sizes: transformers' defaults for {kind} are taken, {said}"
