"""Traced records beside a spec: evidence about the settings that they are of, and about no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.evidence.record import FOLDER, NOT_RUN, Record, read_records, setting_key
from toolkit.facts.accuracy import known_error
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.finding import Finding, Place, Severity, printable
from toolkit.memory.device import device_interval, workspace_bytes
from toolkit.quantity.interval import Interval
from toolkit.spec.peft_methods import column_of
from toolkit.spec.setting import Setting

if TYPE_CHECKING:
    from toolkit.checks.situation import Situation
    from toolkit.checks.space import Choice

VIEWS = ("allocated", "reserved", "device")
MOST_EXTREMES = 4_096
"""So many settings of a scenario are looked at to find the one that a record is of."""


PLAIN = tuple(
    one.name for one in fields(Setting) if one.name not in (*NOT_RUN, "lora", "peft", "parallel", "stack", "engine")
)
"""The fields of a setting that are plain values: what differs in one of them needs no closer look."""

_PLAIN_OF = attrgetter(*PLAIN)


@dataclass(slots=True)
class Traces:
    """The traced and the measured records of one folder; `shown` is the folder as findings name it."""

    shown: str
    records: tuple[Record, ...]
    measured: tuple[Record, ...] = ()
    _alike: dict[tuple[object, ...], list[Record]] = field(init=False)
    _found: dict[int, tuple[Setting, Record | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._alike = {}
        for one in (*self.measured, *self.records):
            self._alike.setdefault(_plain(one), []).append(one)

    def at(self, setting: Setting, config_hash: str) -> Record | None:
        """The record of exactly this setting and config: what was measured goes before what was traced."""
        known = self._found.get(id(setting))
        if known is None:
            alike = self._alike.get(_PLAIN_OF(setting), [])
            whole = setting_key(setting) if alike else {}
            found = [one for one in alike if one.config_hash == config_hash and one.setting == whole]
            record = next((one for one in found if not set_aside(one, setting)), found[0] if found else None)
            known = self._found[id(setting)] = setting, record  # with the setting, so that its id stays its own
        return known[1]


def traced(situation: Situation, choice: Choice, view: str) -> Interval | None:
    """The traced peak at a choice, in bytes, by what a claim is about; None where there is none to go by."""
    if situation.traces is None or view not in VIEWS:
        return None
    setting = situation.setting(choice)
    record = situation.traces.at(setting, situation.facts.config_hash)
    return None if record is None or set_aside(record, setting) else _peak(record, setting, view)


def traced_evidence(situation: Situation, choices: Sequence[Choice], view: str) -> tuple[Evidence, ...]:
    """What was traced of these choices, as at most one piece of evidence."""
    if situation.traces is None:
        return ()
    values = [value for choice in choices if (value := traced(situation, choice, view)) is not None]
    if not values:
        return ()
    whole = values[0]
    for value in values[1:]:
        whole = whole.hull(value)
    records = [situation.traces.at(situation.setting(choice), situation.facts.config_hash) for choice in choices]
    record = next(one for one in records if one is not None)
    kind = min((one.kind for one in records if one), key=lambda one: one is EvidenceKind.MEASURED)
    fact = _fact(record, situation.setting(choices[0]), view)
    if len(values) < len(choices):
        fact = f"at {len(values)} of {len(choices)} settings; {fact}"
    return (Evidence(kind, whole, traced_error(situation), stack_of(record), (fact,)),)


def _fact(record: Record, setting: Setting, view: str) -> str:
    """Where the peak is; of a measurement also the card, and where another's context comes from."""
    phase = str(record.peak["phase"]).replace("_", " ")
    if record.kind is not EvidenceKind.MEASURED:
        return f"peak at {phase}: {record.peak['operation']}"
    other = view == "device" and not is_card(record, setting.gpu)
    return f"peak at {phase}, on {record.gpu}" + (f", with the context of {setting.gpu or 'any card'}" if other else "")


def is_card(record: Record, named: str | None) -> bool:
    """Whether a record was measured on the card of that name."""
    if named is None or record.gpu is None:
        return False
    stated, measured = find_gpu(named), find_gpu(record.gpu)
    if isinstance(stated, UnknownName) or isinstance(measured, UnknownName):
        return False
    return {one.name for one in measured.members} <= {one.name for one in stated.members}


def reasons_aside(situation: Situation, choices: Iterable[Choice], view: str) -> str:
    """Why records of these choices are not gone by; empty where there are none such."""
    if situation.traces is None or view not in VIEWS:
        return ""
    reasons: dict[str, None] = {}
    for choice in choices:
        setting = situation.setting(choice)
        record = situation.traces.at(setting, situation.facts.config_hash)
        if record is not None and (reason := set_aside(record, setting)):
            reasons[reason] = None
    return "".join(f"; a trace is set aside: {reason}" for reason in reasons)


def set_aside(record: Record, setting: Setting) -> str:
    """Why a record of a setting says nothing of it; empty where it does."""
    for name, version in sorted(setting.stack.versions.items()):
        made_with = record.libraries.get(name)
        if made_with is None:
            return f"it was made without {name}, and the scenario names {name} {version}"
        if not _same_version(version, made_with):
            return f"it was made with {name} {made_with}, and the scenario names {version}"
    if workspace_bytes(record.gpu) != workspace_bytes(setting.gpu):
        this, that = (gpu or "a GPU without a name" for gpu in (setting.gpu, record.gpu))
        return f"cuBLAS takes other workspaces on {this} than on {that}, for which it was made"
    return ""


def traced_error(situation: Situation) -> Fraction:
    """The known relative error of a traced peak of the situation's method."""
    return known_error("traced", f"peak_{column_of(situation.setting().method)}")


def stack_of(record: Record) -> str:
    """The libraries of a record in one line."""
    return " ".join(f"{name} {version}" for name, version in sorted(record.libraries.items()))


def stale(record: Record, situation: Situation, moved: Iterable[str]) -> str:
    """Why a record is none of its scenario as it is now; empty where it is. `moved` is what a peak follows."""
    if record.config_hash != situation.facts.config_hash:
        return "the config of its model has changed"
    choices = islice(situation.space.extremes(situation.fields(*moved)), MOST_EXTREMES)
    settings = (situation.setting(choice) for choice in choices)
    if any(_PLAIN_OF(setting) == _plain(record) and setting_key(setting) == record.setting for setting in settings):
        return ""
    return "the scenario has changed since"


def _peak(record: Record, setting: Setting, view: str) -> Interval:
    if view == "allocated":
        counted = (int(record.peak["allocated"]), *map(int, record.peak["blocks"]))
        return _interval(min(counted), max(counted))
    if view == "device" and record.kind is EvidenceKind.MEASURED and is_card(record, setting.gpu):
        return _interval(*map(int, record.peak["device"]))
    low, high = map(int, record.peak["reserved"])
    return _interval(low, high) if view == "reserved" else _interval(*device_interval((low, high), setting.gpu))


def _interval(low: int, high: int) -> Interval:
    return Interval(Fraction(low), Fraction(high))


def _plain(record: Record) -> tuple[object, ...]:
    return tuple(record.setting.get(name) for name in PLAIN)


def _same_version(said: str, made_with: str) -> bool:
    """Whether a version is meant by another, which may be said in part: "5.23" means 5.23.0."""
    parts = said.split(".")
    return made_with.split(".")[: len(parts)] == parts


def read_traces(spec: Path, shown_spec: str) -> tuple[Traces | None, list[Finding]]:
    """The traced records beside a spec, and what is wrong with their files; nothing where there is no such folder."""
    folder = spec.parent / FOLDER
    shown = f"{''.join(shown_spec.rpartition('/')[:2])}{FOLDER}"
    if not folder.is_dir():
        return None, []
    records: list[Record] = []
    measured: list[Record] = []
    findings = []
    for one in read_records(folder):
        if isinstance(one, tuple):
            place = Place(f"{shown}/{printable(one[0].name)}")
            findings.append(
                Finding(place, "E101", f"no record of evidence: {printable(one[1])[:200]}", "trace it anew")
            )
        elif one.kind is EvidenceKind.TRACED:
            records.append(one)
        elif one.kind is EvidenceKind.MEASURED and "outcome" not in one.peak:  # of a full card no peak is known
            measured.append(one)
    return Traces(shown, tuple(records), tuple(measured)), findings


def stale_findings(
    traces: Traces, situations: Mapping[str, Situation | None], moved: Iterable[str]
) -> Iterator[Finding]:
    """Notes on records that are of none of their scenario's settings any more; those of other specs are left alone.

    `moved` is what a peak follows.
    """
    for record in traces.records:
        situation = situations.get(record.scenario)
        if situation is not None and (reason := stale(record, situation, moved)):
            place = Place(f"{traces.shown}/{record.name}")
            message = f"the trace of {printable(record.scenario)} is not used: {reason}"
            yield Finding(place, "E102", message, "trace it anew, and delete this file", Severity.NOTE)
