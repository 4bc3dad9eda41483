"""The committed errors by source, method and metric, which may only shrink while the readings covered only grow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from math import ceil
from pathlib import Path
from typing import Any

from toolkit.accuracy.statistics import Errors
from toolkit.accuracy.table import BOTH, Table
from toolkit.frozen import frozen

FILE = "errors.json"
DIGITS = 4
_GROUP = "source and method"
_ABOUT = (
    "Errors of estimates against published readings, as shares, by source, method and metric. They may only shrink, "
    "and the readings that they cover only grow: `toolkit accuracy --refresh` writes them anew."
)
_SHRINKING = ("median", "p95", "width")


@frozen
class Entry:
    """The errors of one group, rounded up."""

    group: str
    metric: str
    complete: bool
    runs: int
    readings: int
    median: float
    p95: float
    width: float

    @classmethod
    def of(cls, group: str, metric: str, errors: Errors, *, complete: bool) -> Entry:
        """The entry of a group with these errors."""
        shares = (up(errors.median), up(errors.p95), up(errors.width))
        return cls(group, metric, complete, errors.runs, errors.readings, *shares)

    @property
    def key(self) -> tuple[str, str, bool]:
        """What the entry is about."""
        return self.group, self.metric, self.complete


def entries(table: Table) -> list[Entry]:
    """The entries that a table would commit."""
    return [
        Entry.of(group.value, group.metric, group.errors, complete=group.complete)
        for group in table.groups
        if group.half == BOTH and group.by == _GROUP
    ]


def budget_json(found: Iterable[Entry], about: str = _ABOUT) -> str:
    """The content of the committed file: one group a line, in order."""
    lines = ",\n".join(f"  {json.dumps(_plain(one), ensure_ascii=False)}" for one in found)
    return f'{{\n "about": {json.dumps(about)},\n "errors": [\n{lines}\n ]\n}}\n'


def read_budget(path: Path) -> list[Entry]:
    """The committed entries. Raises OSError or ValueError where they cannot be read."""
    try:
        return [Entry(**one) for one in json.loads(path.read_text(encoding="utf-8"))["errors"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no table of committed errors: {error}") from error


def grown(committed: Iterable[Entry], found: Iterable[Entry]) -> Iterator[str]:
    """A sentence for each entry that is worse than committed: a larger error, a wider interval, or fewer readings."""
    now = {one.key: one for one in found}
    for old in committed:
        name = f"{old.group}, {old.metric}, {'complete' if old.complete else 'open'}"
        new = now.get(old.key)
        if new is None:
            yield f"{name}: {old.readings:,} readings are no longer estimated"
            continue
        if new.readings < old.readings:
            yield f"{name}: {new.readings:,} readings are estimated, before {old.readings:,}"
        for field in _SHRINKING:
            before, after = getattr(old, field), getattr(new, field)
            if after > before:
                yield f"{name}: {field} is {after:.2%}, before {before:.2%}"


def _plain(entry: Entry) -> Mapping[str, Any]:
    return {one.name: getattr(entry, one.name) for one in fields(entry)}


def up(share: float) -> float:
    """A share rounded up, so that rounding alone never makes an error larger than the committed one."""
    scale: int = 10**DIGITS
    return ceil(round(share * scale, 3)) / scale
