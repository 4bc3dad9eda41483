"""The committed errors by source, method and metric, which may only shrink while the readings covered only grow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from math import ceil
from pathlib import Path
from typing import Any

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

    @property
    def key(self) -> tuple[str, str, bool]:
        """What the entry is about."""
        return self.group, self.metric, self.complete


def entries(table: Table) -> list[Entry]:
    """What a table would have committed."""
    return [
        Entry(
            group.value,
            group.metric,
            group.complete,
            group.errors.runs,
            group.errors.readings,
            up(group.errors.median),
            up(group.errors.p95),
            up(group.errors.width),
        )
        for group in table.groups
        if group.half == BOTH and group.by == _GROUP
    ]


def budget_json(found: Iterable[Entry], about: str = _ABOUT) -> str:
    """The committed form: one group a line, in order."""
    lines = ",\n".join(f"  {json.dumps(_plain(one), ensure_ascii=False)}" for one in found)
    return f'{{\n "about": {json.dumps(about)},\n "errors": [\n{lines}\n ]\n}}\n'


def read_budget(path: Path) -> list[Entry]:
    """The committed entries. Raises OSError or ValueError where the file is none of ours."""
    try:
        return [Entry(**one) for one in json.loads(path.read_text(encoding="utf-8"))["errors"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no table of committed errors: {error}") from error


def grown(committed: Iterable[Entry], found: Iterable[Entry]) -> Iterator[str]:
    """What is worse than committed: a larger error, a wider interval, or fewer readings."""
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
    """A share rounded up, so that an error is never above what is committed for it by rounding alone."""
    scale: int = 10**DIGITS
    return ceil(round(share * scale, 3)) / scale
