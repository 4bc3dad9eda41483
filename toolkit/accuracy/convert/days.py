"""Releases that a record leaves out, by the days of those that it states.

A run is no older than the newest of its releases, and seldom half a year younger: who installs a library for a new
run takes one of these days. So a library of which no release is stated may be any from the newest of the first of these
days to the newest of the last, and stands as these two. A record without any release is of the days of the others of
its source; where none of them states one, nothing is said: the profile decides. The day of the commit of a record, or
of its run, is stated, too: no release of a later day was in it, and without any other it is the last of the days.
Bounds, as requirements state them, say that a run is no older than the least of their releases, and which of the days'
releases it may have had.
"""

from __future__ import annotations

import operator
import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.accuracy.convert.vocabulary import Bounds, bounds_of, versions_of
from toolkit.facts.releases import PACKAGES, Release, parse_version, release, versions
from toolkit.spec.fields import names

WINDOW = timedelta(days=180)
"""How much younger than the newest of its stated releases a run is taken to be at most."""

Days = tuple[date, date]
"""The first day and the last."""

_TOLD = re.compile(r"\b(?:commit|run|log|page|results?) (?:of|on|from) (20\d\d-[01]\d-[0-3]\d)\b")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_RAN_IN = re.compile(
    rf"\b(?:runs?|ran|logs?|measured|releases (?:are|is) not stated) (?:(?:of|in|from) |\((?:runs (?:of|in) )?)"
    rf"({'|'.join(_MONTHS)}) (20\d\d)\b"
)
"""What says in which month a run was made, not only when it was published."""
_STACK = "stack."
_OWN_CODE = ("vllm", "autoawq", "litgpt", "torchtune", "torchtitan")
"""Software that runs models by code of its own."""

_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt
}  # fmt: skip


def days_of(records: Iterable[Record]) -> Days | None:
    """The days between which the runs of a source were made, so far as any of its records states releases."""
    found = [day for record in records if (day := _newest_day(versions_of(record["versions"] or {}))) is not None]
    return (min(found), max(found)) if found else None


def told_day(record: Record) -> date | None:
    """The day that a record's remarks name of its commit or its run; None where they name none, or several."""
    found = set(_TOLD.findall(remarks_of(record)))
    try:
        return date.fromisoformat(found.pop()) if len(found) == 1 else None
    except ValueError:
        return None


def month_of_run(record: Record) -> date | None:
    """The last day of the month in which a record's remarks say that its run was made; None without, or of several."""
    found = {(int(year), _MONTHS.index(month) + 1) for month, year in _RAN_IN.findall(remarks_of(record))}
    if len(found) != 1:
        return None
    year, month = found.pop()
    return date(year, month, monthrange(year, month)[1])


def say_releases(draft: Draft, record: Record, days: Days | None) -> None:
    """Says the releases that move memory and are not stated. `days` are the source's.

    A run that was made in a month which is told may be much younger than what it states: whoever keeps one library may
    have others anew.
    """
    stated = {
        name.removeprefix(_STACK): version
        for name, version in draft.fields.items()
        if name.startswith(_STACK) and isinstance(version, str)
    }
    newest, bounds = _newest_day(stated), bounds_of(record["versions"] or {})
    told, ran = told_day(record), month_of_run(record)
    between = days if newest is None else (newest, newest + WINDOW)
    if told is not None:
        first = told - WINDOW if newest is None else newest
        between = first, max(first, told if newest is None else min(told, newest + WINDOW))
    if ran is not None:
        first = ran - WINDOW if newest is None else newest
        between = first, max(first, ran)
    if between is None or draft.fields.get("stack.trainer") in _OWN_CODE:
        return
    floor = _newest_day({package: least for package, of in bounds.items() for sign, least in of if sign == ">="})
    between = (max(between[0], floor), max(between[1], floor)) if floor else between
    for package in _needed(draft, alone=newest is None):
        if package in stated or f"{_STACK}{package}" in draft.fields:
            continue
        of = bounds.get(package, ())
        found = list(dict.fromkeys(filter(None, (_newest(package, day, of) for day in between))))
        if found:
            draft.say(f"{_STACK}{package}", found if len(found) > 1 else found[0])
            draft.notes.append(f"{package}, whose release is not stated, for {' or '.join(found)}, by days of others")


def _needed(draft: Draft, *, alone: bool) -> Iterable[str]:
    """The packages whose releases move memory; `alone`: of a run that states no release at all."""
    weights = draft.fields.get("weights")
    yield "transformers"
    if draft.fields.get("stack.trainer") == "trl":
        yield "trl"
    if set(weights if isinstance(weights, list) else [weights]) & names.BITSANDBYTES:
        yield "bitsandbytes"
    if alone:
        yield "torch"
        if draft.fields.get("method") in names.LORA:
            yield "peft"


def _newest_day(stated: Mapping[str, str]) -> date | None:
    """The day of the newest of some releases."""
    found = [release(package, version) for package, version in stated.items() if package in PACKAGES]
    return max((date.fromisoformat(one.date) for one in found if isinstance(one, Release)), default=None)


@cache
def _newest(package: str, day: date, bounds: Bounds = ()) -> str | None:
    """The highest release of a package that was there on a day, lies within bounds, and is no preview."""
    known = [release(package, version) for version in versions(package)]
    there = [one for one in known if isinstance(one, Release) and one.yanked is None and one.date <= day.isoformat()]
    parsed = [(parse_version(one.version), one.version) for one in there]
    return max(
        ((number, text) for number, text in parsed if number and not number.is_prerelease and _lies(number, bounds)),
        default=(None, None),
    )[1]


def _lies(number: Any, bounds: Bounds) -> bool:
    """Whether a release lies within bounds, those of them that can be read."""
    ends = [(sign, parse_version(end)) for sign, end in bounds]
    return all(end is None or _SIGNS[sign](number, end) for sign, end in ends)
