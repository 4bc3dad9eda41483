"""The peak of a situation by the records beside the spec, and the records that no longer fit any of its settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice

from toolkit.checks.other_card import by_kernels, peak_of, told_for
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.checks.traces import NAMED, PLAIN_OF, VIEWS, Traces, plain_of, set_aside, stack_of
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.evidence.record import LEFT_OUT, Record, setting_key
from toolkit.facts.accuracy import known_error
from toolkit.finding import Finding, Place, Severity, printable
from toolkit.quantity.interval import Interval
from toolkit.spec.fields.peft_methods import column_of
from toolkit.spec.settings.setting import Setting

MOST_EXTREMES = 4_096
"""The most settings of a scenario that are compared with a record."""

CONFIG_CHANGED = "the config of its model has changed"
SCENARIO_CHANGED = "the scenario has changed since"


def traced(situation: Situation, choice: Choice, view: str) -> Interval | None:
    """The traced or measured peak at a choice, in bytes, by `view` (allocated, reserved, device); None without one."""
    setting, record = _record(situation, choice, view)
    if record is None or set_aside(record, setting):
        return None
    return peak_of(record, setting, view, by_kernels(record, setting, situation.facts))


def _record(situation: Situation, choice: Choice, view: str) -> tuple[Setting, Record | None]:
    """The setting at a choice, and the record of it that knows the view, if there is one."""
    setting = situation.setting(choice)
    if situation.traces is None or view not in VIEWS:
        return setting, None
    return setting, situation.traces.at(setting, situation.facts.config_hash)


def traced_evidence(situation: Situation, choices: Sequence[Choice], view: str) -> tuple[Evidence, ...]:
    """The traces and measurements of these choices as one piece of evidence, of the weaker kind; empty without any."""
    found = []
    for choice in choices:
        setting, record = _record(situation, choice, view)
        value = traced(situation, choice, view)
        if record is not None and value is not None:
            found.append((record, setting, value))
    if not found:
        return ()
    whole = Interval.covering(value for _, _, value in found)
    record, setting, _ = min(found, key=lambda one: one[0].kind is EvidenceKind.MEASURED)
    fact = _fact(record, setting, view, by_kernels(record, setting, situation.facts))
    if len(found) < len(choices):
        fact = f"at {len(found)} of {len(choices)} settings; {fact}"
    return (Evidence(record.kind, whole, traced_error(situation), stack_of(record), (fact,)),)


def _fact(record: Record, setting: Setting, view: str, kernels: int) -> str:
    """Where the peak is, and for a measurement the card and what was replaced by another card's."""
    phase = str(record.peak["phase"]).replace("_", " ")
    where = f"on {record.gpu}" if record.kind is EvidenceKind.MEASURED else record.peak["operation"]
    joined = ", " if record.kind is EvidenceKind.MEASURED else ": "
    return f"peak at {phase}{joined}{where}{told_for(record, setting, view, kernels)}"


def reasons_aside(situation: Situation, choices: Iterable[Choice], view: str) -> str:
    """Why records of these choices are not used, for the end of a sentence; empty where all are."""
    reasons: dict[str, None] = {}
    for choice in choices:
        setting, record = _record(situation, choice, view)
        if record is not None and (reason := set_aside(record, setting)):
            reasons[f"a {NAMED[record.kind]} is set aside: {reason}"] = None
    return "".join(f"; {reason}" for reason in reasons)


def traced_error(situation: Situation) -> Fraction:
    """The known relative error of a traced peak of the situation's method."""
    return known_error("traced", f"peak_{column_of(situation.setting().method)}")


def stale_findings(
    traces: Traces, situations: Mapping[str, Situation | None], moved: Iterable[str]
) -> Iterator[Finding]:
    """Notes on records that fit no setting of their scenario any more; records of other specs are passed over.

    `moved` are the categories that move a peak.
    """
    for record in (*traces.records, *traces.measured):
        situation = situations.get(record.scenario)
        is_stale = stale if record.kind is EvidenceKind.TRACED else stale_measurement
        if situation is not None and (reason := is_stale(record, situation, moved)):
            place = Place(f"{traces.shown}/{record.name}")
            message = f"the {NAMED[record.kind]} of {printable(record.scenario)} is not used: {reason}"
            again = "trace" if record.kind is EvidenceKind.TRACED else "measure"
            yield Finding(place, "E102", message, f"{again} it anew, and delete this file", Severity.NOTE)


def stale(record: Record, situation: Situation, moved: Iterable[str]) -> str:
    """Why a trace fits no setting of its scenario any more; empty where it fits one. `moved`: see `stale_findings`."""
    if record.config_hash != situation.facts.config_hash:
        return CONFIG_CHANGED
    settings = _extremes(situation, moved)
    if any(PLAIN_OF(setting) == plain_of(record) and setting_key(setting) == record.setting for setting in settings):
        return ""
    return SCENARIO_CHANGED


def stale_measurement(record: Record, situation: Situation, moved: Iterable[str]) -> str:
    """The same of a measurement, which may be of any value of what is left open: by what all extremes have alike."""
    if record.config_hash != situation.facts.config_hash:
        return CONFIG_CHANGED
    first, *others = [setting_key(setting) for setting in _extremes(situation, moved)]
    before = {**LEFT_OUT, **record.setting}
    fixed = [name for name, value in first.items() if all(other[name] == value for other in others)]
    return SCENARIO_CHANGED if any(before.get(name) != first[name] for name in fixed) else ""


def _extremes(situation: Situation, moved: Iterable[str]) -> Iterator[Setting]:
    for choice in islice(situation.space.extremes(situation.fields(*moved)), MOST_EXTREMES):
        yield situation.setting(choice)
