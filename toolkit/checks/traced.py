"""What records beside a spec say of a situation's peak, and which of them are none of it any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice

from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.checks.traces import PLAIN_OF, VIEWS, Traces, is_card, peak_of, plain_of, set_aside, stack_of
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.evidence.record import Record, setting_key
from toolkit.facts.accuracy import known_error
from toolkit.finding import Finding, Place, Severity, printable
from toolkit.quantity.interval import Interval
from toolkit.spec.fields.peft_methods import column_of
from toolkit.spec.settings.setting import Setting

MOST_EXTREMES = 4_096
"""So many settings of a scenario are looked at to find the one that a record is of."""


def traced(situation: Situation, choice: Choice, view: str) -> Interval | None:
    """The traced peak at a choice, in bytes, by what a claim is about; None where there is none to go by."""
    if situation.traces is None or view not in VIEWS:
        return None
    setting = situation.setting(choice)
    record = situation.traces.at(setting, situation.facts.config_hash)
    return None if record is None or set_aside(record, setting) else peak_of(record, setting, view)


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


def traced_error(situation: Situation) -> Fraction:
    """The known relative error of a traced peak of the situation's method."""
    return known_error("traced", f"peak_{column_of(situation.setting().method)}")


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


def stale(record: Record, situation: Situation, moved: Iterable[str]) -> str:
    """Why a record is none of its scenario as it is now; empty where it is. `moved` is what a peak follows."""
    if record.config_hash != situation.facts.config_hash:
        return "the config of its model has changed"
    choices = islice(situation.space.extremes(situation.fields(*moved)), MOST_EXTREMES)
    settings = (situation.setting(choice) for choice in choices)
    if any(PLAIN_OF(setting) == plain_of(record) and setting_key(setting) == record.setting for setting in settings):
        return ""
    return "the scenario has changed since"
