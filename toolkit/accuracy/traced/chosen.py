"""Which published runs are traced, and with which releases; the choice is made before any error is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from toolkit.accuracy.score import Score, Scores, Unscored, score
from toolkit.accuracy.shown_field import shown_field
from toolkit.accuracy.traced.lines import fingerprint
from toolkit.evidence.record import setting_key
from toolkit.facts.models import ModelFacts, model_of
from toolkit.frozen import frozen
from toolkit.memory.weights.linear_storage import QUANTIZED
from toolkit.spec.published import PublishedSource
from toolkit.spec.published_lines import PublishedRun
from toolkit.spec.settings.setting import Setting

ALLOCATED = "allocated"
SAMPLED = (ALLOCATED, "reserved", "device")
"""The metrics that a trace predicts."""

RUN_BY_TRACES = ("transformers", "peft", "bitsandbytes")
"""The packages whose code a trace runs; with the releases that a record states, the trace is like for like."""

RULE = (
    "Traced like for like are all runs on one GPU by stock libraries whose peak of allocated memory was published with"
    " its whole configuration (grade A: nothing that moves it is open) and with the releases of the libraries. What a"
    " record leaves open without moving the computed peak is traced in every way, and the worst of them counts."
)
"""The rule, fixed before any error was known; nothing in it depends on one."""


@frozen
class Chosen:
    """A setting to be traced with the releases in `pins`; without any, with the installed ones."""

    score: Score
    setting: Setting
    facts: ModelFacts
    pins: tuple[tuple[str, str], ...]

    @property
    def source(self) -> str:
        """The source of the run."""
        return self.score.source

    @property
    def run(self) -> str:
        """The name of the run, or of the first of several with the same setting."""
        return self.score.run.run

    @property
    def of(self) -> str:
        """The fingerprint of the setting and the model's config."""
        return fingerprint(self.setting, self.facts.config_hash)

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The fingerprint of what is traced, and the releases that trace it."""
        return self.of, self.pins


@frozen
class LeftOut:
    """A run that is not traced like for like, and why."""

    score: Score
    reason: str


def comparable(sources: Iterable[PublishedSource], metrics: Sequence[str]) -> Scores:
    """The scores of runs on one GPU, for the metrics that a trace predicts; sources without any are left out.

    All are scored as if they were allocated memory: that shows as well whether a record leaves anything open that moves
    memory, and is much faster than to estimate what is reserved or on the device.
    """
    kept = []
    for source in sources:
        runs = tuple(run for run in (_with(one, metrics) for one in source.runs) if run is not None)
        if runs:
            kept.append(replace(source, runs=runs))
    read = {one.id: one for source in kept for run in source.runs for one in run.readings}
    as_allocated = [replace(one, runs=tuple(map(_as_allocated, one.runs))) for one in kept]
    found = score(as_allocated, Path())
    return Scores(
        tuple(replace(one, reading=read[one.reading.id]) for one in found.scored),
        tuple(replace(one, reading=read[one.reading.id]) for one in found.unscored),
    )


def like_for_like(scores: Scores) -> tuple[list[Chosen], list[LeftOut]]:
    """What is traced with the releases that records state, and what is not, with the reason."""
    chosen: list[Chosen] = []
    left_out: list[LeftOut] = []
    for one in _in_full(scores):
        missing = sorted({name for setting in one.settings for name in unnamed(setting)})
        if missing:
            left_out.append(LeftOut(one, f"the record names no release of {', '.join(missing)}"))
            continue
        chosen += [Chosen(one, setting, facts_of(setting), pins(setting)) for setting in distinct(one.settings)]
    return chosen, left_out


def not_in_full(scores: Scores) -> Iterator[tuple[Unscored, str]]:
    """Peaks of allocated memory of grade A without a score, and why: otherwise they would be traced."""
    for one in scores.unscored:
        if one.reading.metric == ALLOCATED and one.run.grade == "A":
            yield one, f"the reading stands apart: {one.reason}" if one.apart else one.reason


def sampled(scores: Scores) -> list[Chosen]:
    """What is traced with the installed releases: the same runs, and a sample of the other complete ones.

    The sample has the first run of each source, metric, method, model and storage of weights.
    """
    wide = [one for one in scores.scored if one.complete and _says_card(one)]
    full = {id(one) for one in _in_full(scores)}
    seen: set[tuple[str, ...]] = set()
    found = []
    for one in wide:
        scenario = one.run.scenario
        key = (one.source, one.reading.metric, scenario.method, scenario.model, shown_field(one.run, "weights"))
        if id(one) in full or key not in seen:
            found.append(Chosen(one, one.settings[0], facts_of(one.settings[0]), ()))
        seen.add(key)
    return found


def pins(setting: Setting) -> tuple[tuple[str, str], ...]:
    """The releases that a setting states of the packages that a trace runs."""
    named = setting.stack.versions
    return tuple((name, str(named[name])) for name in sorted(RUN_BY_TRACES) if name in named)


def unnamed(setting: Setting) -> Iterator[str]:
    """The packages that a setting needs without stating their release."""
    needed = {
        "transformers": True,
        "peft": setting.lora is not None or setting.peft is not None,
        "bitsandbytes": setting.weights in QUANTIZED or "8bit" in setting.optimizer,
    }
    return (name for name in RUN_BY_TRACES if needed[name] and name not in setting.stack.versions)


@cache
def _facts(model: str) -> ModelFacts:
    found = model_of(model)
    assert isinstance(found, ModelFacts), model  # without facts the run would have no score
    return found


def facts_of(setting: Setting) -> ModelFacts:
    """The facts of a setting's model, which is known, as the setting was estimated."""
    return _facts(setting.model)


def distinct(settings: Iterable[Setting]) -> list[Setting]:
    """The settings without duplicates of what is run."""
    return list({json.dumps(setting_key(one), sort_keys=True): one for one in settings}.values())


def _says_card(one: Score) -> bool:
    """Whether a run names its GPU, if its metric depends on that."""
    return one.reading.metric == ALLOCATED or one.run.scenario.fixed("gpu") is not None


def _as_allocated(run: PublishedRun) -> PublishedRun:
    return replace(run, readings=tuple(replace(one, metric=ALLOCATED) for one in run.readings))


def _in_full(scores: Scores) -> Iterator[Score]:
    for one in scores.scored:
        if one.reading.metric == ALLOCATED and one.complete and one.run.grade == "A":
            yield one


def _with(run: PublishedRun, metrics: Sequence[str]) -> PublishedRun | None:
    """A run on one GPU, with those of its readings that are comparable; None where there are none."""
    if run.beyond or run.scenario.fixed("parallel.gpus") not in (None, 1):
        return None
    readings = tuple(one for one in run.readings if one.metric in metrics)
    return replace(run, readings=readings) if readings else None
