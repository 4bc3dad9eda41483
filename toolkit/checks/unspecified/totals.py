"""Sums over the columns of a table that has a row of totals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.scan.claim import Scanned
from toolkit.documents.scan.grids import Grid
from toolkit.documents.scan.values import unit_of_heading
from toolkit.quantity import Bound, Dimension, Interval, Reading, Value, display_interval, parse_value

_TOTAL: Final = re.compile(
    r"\W*(?:grand |overall )?(?:total|sum|totals|gesamt|summe|合计|总计)\b[^\w]*(?:\(?[\w ~]{0,16}\)?)?\W*",
    re.IGNORECASE,
)
_PARTIAL: Final = re.compile(
    r"\b(?:total|sum|subtotal|peak|max\w*|min\w*|average|mean|available|budget|remaining|free|of which)\b",
    re.IGNORECASE,
)
_EMPTY: Final = frozenset({"", "-", "–", "—", "n/a", "N/A", "0"})
_READINGS: Final[tuple[Reading, ...]] = ("decimal", "binary")
_FEWEST = 2


def check_totals(scanned: Scanned) -> Iterator[Remark]:
    """Columns of memory whose last row is called a total and whose other rows are all parts of it."""
    seen: set[int] = set()
    for read in scanned.pieces:
        grid = read.piece.grid
        if grid is None or id(grid) in seen:
            continue
        seen.add(id(grid))
        yield from _of_grid(grid)


def _of_grid(grid: Grid) -> Iterator[Remark]:
    rows = grid.rows[1:]
    if len(rows) <= _FEWEST or not rows[-1] or not _TOTAL.fullmatch(rows[-1][0][2]):
        return
    if any(row and _PARTIAL.search(row[0][2]) for row in rows[:-1]):
        return
    for column in range(1, len(grid.header)):
        remark = _of_column(grid, column)
        if remark is not None:
            yield remark


def _of_column(grid: Grid, column: int) -> Remark | None:
    rows = grid.rows[1:]
    implied = unit_of_heading(grid.header[column])
    cells = [row[column] for row in rows if len(row) > column]
    if len(cells) != len(rows):
        return None
    parts = [parse_value(text, implied=implied) for _, _, text in cells[:-1] if text not in _EMPTY]
    total = parse_value(cells[-1][2], implied=implied)
    values = [value for value in parts if value is not None]
    if total is None or len(values) != len(parts) or len(values) < _FEWEST or not _addable([*values, total]):
        return None
    sums = {reading: _sum(values, reading) for reading in _READINGS}
    holds = any(_in(total, reading).meets(found) for reading, found in sums.items())
    shown = display_interval(_exact(values), Dimension.BYTES, "binary" if "i" in total.unit.symbol else "decimal")
    start, end, _ = cells[-1]
    if holds:
        return Remark(start, end, "arithmetic", Verdict.AGREES, f"the rows above add up to {shown}")
    return Remark(start, end, "arithmetic", Verdict.DISAGREES, f"the rows above add up to {shown}", f"print {shown}")


def _addable(values: list[Value]) -> bool:
    return all(value.unit.dimension is Dimension.BYTES and value.bound is Bound.POINT for value in values)


def _in(value: Value, reading: Reading) -> Interval:
    readings = value.readings()
    return readings.get(reading) or next(iter(readings.values()))


def _sum(values: list[Value], reading: Reading) -> Interval:
    ends = [_in(value, reading) for value in values]
    return Interval(_added([end.low for end in ends]), _added([end.high for end in ends]))


def _added(ends: list[Fraction | None]) -> Fraction:
    return sum((end for end in ends if end is not None), Fraction(0))


def _exact(values: list[Value]) -> Interval:
    sizes = [dict(value.unit.readings) for value in values]
    units = [size.get("decimal") or next(iter(size.values())) for size in sizes]
    low = sum((min(value.printed) * unit for value, unit in zip(values, units, strict=True)), Fraction(0))
    high = sum((max(value.printed) * unit for value, unit in zip(values, units, strict=True)), Fraction(0))
    return Interval(low, high)
