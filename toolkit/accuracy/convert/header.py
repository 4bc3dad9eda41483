"""The header of a source: what is known of one that has an entry, and of another what its records give."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from toolkit.accuracy.convert.draft import Record
from toolkit.spec.written.published import READING_METRICS

SOURCES = Path(__file__).parents[1] / "data" / "sources.json"
_MOST = 5
"""Repositories, units and remarks that a header names at most."""
_MOST_TAKEN = 12
_LONGEST = 400
GENERAL = (
    "Converted by the general rule: only what the records' own fields and remarks say was read. What they leave open "
    "is estimated as an interval, and what no field of a scenario can say stands beyond it."
)


@cache
def sources() -> Mapping[str, Mapping[str, Any]]:
    """What is said of each source in its header."""
    read: Mapping[str, Mapping[str, Any]] = json.loads(SOURCES.read_text(encoding="utf-8"))
    return read


def header_of(slug: str, records: Sequence[Record], metrics: Iterable[str], taken: Iterable[str]) -> str:
    """The header as YAML. `metrics` are those of the readings, `taken` what names were taken for."""
    said = sources().get(slug) or _from_records(slug, records, metrics, taken)
    return yaml.safe_dump(dict(said), sort_keys=False, allow_unicode=True, width=110)


def _from_records(
    slug: str, records: Sequence[Record], metrics: Iterable[str], taken: Iterable[str]
) -> Mapping[str, Any]:
    """Title, repository with its address, what was read, units, and how the records were converted."""
    repositories = _some(record["source"]["repo"] for record in records)
    units = _some(record["unit"] for record in records if record["unit"])
    remarks = _some(record["unit_note"] for record in records if record.get("unit_note"))
    return {
        "title": f"{slug}: records of {repositories or 'a source without a name'}",
        "repository": f"{repositories}{_address(records)}" or "not stated",
        "licence": "not stated",
        "metric": "; ".join(f"{name}: {READING_METRICS[name]}" for name in dict.fromkeys(metrics)) or "none",
        "unit": "; ".join(part for part in (units, remarks) if part)[: 2 * _LONGEST] or "not stated",
        "caveats": [GENERAL, *_taken(taken)],
    }


def _taken(taken: Iterable[str]) -> list[str]:
    """What was taken for what, the first of many."""
    different = list(dict.fromkeys(text[:_LONGEST] for text in taken))
    more = f"; and {len(different) - _MOST_TAKEN} more" if len(different) > _MOST_TAKEN else ""
    return [f"Taken: {'; '.join(different[:_MOST_TAKEN])}{more}."] if different else []


def _some(texts: Iterable[str]) -> str:
    """The first few of different texts, and how many more there are."""
    different = list(dict.fromkeys(text[:_LONGEST] for text in texts))
    more = f", and {len(different) - _MOST} more" if len(different) > _MOST else ""
    return ", ".join(different[:_MOST]) + more


def _address(records: Sequence[Record]) -> str:
    """The address of the only repository, as far as its records' addresses agree on it."""
    addresses = {record["source"].get("url") for record in records}
    repository = {record["source"]["repo"] for record in records}
    known = next((address for address in sorted(filter(None, addresses))), "")
    if len(repository) != 1 or not known.startswith("https://") or (name := next(iter(repository))) not in known:
        return ""
    return f" ({known[: known.index(name) + len(name)]})"
