"""Percentages of change with both of their ends in sight: "25 GB → 14 GB, 44 % less"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.scan.claim import ReadPiece, Scanned
from toolkit.documents.scan.direction import FALLING, PACE, RISING
from toolkit.documents.scan.grids import Grid
from toolkit.documents.scan.pieces import Kind
from toolkit.documents.scan.values import cell_value
from toolkit.quantity import Bound, Dimension, Value, display_bytes, display_share, parse_value
from toolkit.quantity.interval import Interval

_ARROW: Final = re.compile(r"[\s*_`]*(?:→|->|=>|⟶|➜)[\s*_`]*")
_DIRECTION: Final = re.compile(rf"\b(?:{FALLING}|{RISING}|{PACE})\b", re.IGNORECASE)
_SAVED: Final = re.compile(r"\b(?:sav(?:ed|ings?)|reduction|reduced|less)\b", re.IGNORECASE)
_MORE: Final = re.compile(
    r"[\s*_`]*(?:of )?(?:more|less|extra|additional|saved|fewer)[\s*_`]*"
    r"(?:v?ram|gpu (?:memory|ram)|memory)?[\s*_`]*\([\s*_`]*",
    re.IGNORECASE,
)
_VERSUS: Final = re.compile(
    r"[\s*_`]*(?:vs\.?|versus|against|instead of|compared (?:to|with)|→|->)[\s*_`]*", re.IGNORECASE
)
_FALLS: Final = re.compile(rf"\b(?:{FALLING}|sav\w+|cheaper)\b", re.IGNORECASE)
_SPEED: Final = re.compile(rf"\b(?:faster|slower|speed\w*|time|throughput|{RISING})\b", re.IGNORECASE)
_LEFT: Final = re.compile(r"\b(?:to|of)\s*[~≈*]*[0-9]", re.IGNORECASE)
_SAID_LESS: Final = "less"
_NEAR: Final = 60


def check_changes(scanned: Scanned) -> Iterator[Remark]:
    """Percentages in a line that has one pair "A → B", and in rows of a table that has both ends and their saving."""
    for read in scanned.pieces:
        if read.piece.kind is not Kind.CELL:
            yield from _in_lines(read)
    seen: set[int] = set()
    for read in scanned.pieces:
        grid = read.piece.grid
        if grid is not None and id(grid) not in seen:
            seen.add(id(grid))
            yield from _in_table(grid)


def _in_lines(read: ReadPiece) -> Iterator[Remark]:
    if _ARROW.search(read.text) is None:
        return
    for pair, share in _stated(read):
        words = read.text[max(0, share.start - 24) : share.end + 24]
        remark = _judged(*pair, share, read.piece.start + share.start, words)
        if remark is not None:
            yield remark


def check_differences(scanned: Scanned) -> Iterator[Remark]:
    """Amounts of more or less with both amounts behind them: "5 GB more (14 GB vs 10 GB)"."""
    for read in scanned.pieces:
        for position, value in enumerate(read.values[:-2] if _MORE.search(read.text) else ()):
            one, other = read.values[position + 1 : position + 3]
            if any(figure.unit.dimension is not Dimension.BYTES for figure in (value, one, other)):
                continue
            joint = _MORE.fullmatch(read.text[value.end : one.start])
            if joint and _VERSUS.fullmatch(read.text[one.end : other.start]) and len(value.printed) == 1:
                yield _difference(value, one, other, read.piece.start + value.start)


def _difference(value: Value, one: Value, other: Value, start: int) -> Remark:
    pairs = [(one, other), (other, one)]
    holds = False
    for first, second in pairs:
        for reading, stated in value.readings().items():
            ends = [
                figure.readings().get(reading) or next(iter(figure.readings().values())) for figure in (first, second)
            ]
            if any(end.low is None or end.high is None for end in ends):
                return Remark(start, start + len(value.text), "change", Verdict.UNCHECKED, "it compares bounds")
            low, high = _less(ends[0].low, ends[1].high), _less(ends[0].high, ends[1].low)
            holds |= stated.meets(Interval(low, high))
    gap = abs(one.printed[0] * _size(one) - other.printed[0] * _size(other))
    shown = display_bytes(gap, "binary" if "i" in one.unit.symbol else "decimal")
    fact = f"{one.text} and {other.text} differ by {shown}"
    span = (start, start + len(value.text))
    if holds and not _exactly_wrong(value, one, other):
        return Remark(*span, "change", Verdict.AGREES, fact)
    return Remark(*span, "change", Verdict.DISAGREES, fact, f"print {shown}")


def _exactly_wrong(value: Value, one: Value, other: Value) -> bool:
    """Whether the three figures are whole, unhedged and in one unit, so that they were compared as they stand."""
    figures = (value, one, other)
    if any(figure.hedge or len(figure.printed) > 1 or figure.unit != value.unit for figure in figures):
        return False
    whole = all(figure.printed[0].denominator == 1 for figure in figures)
    return whole and abs(one.printed[0] - other.printed[0]) != value.printed[0]


def _less(first: Fraction | None, second: Fraction | None) -> Fraction:
    assert first is not None, "bounds were passed over"
    assert second is not None, "bounds were passed over"
    return first - second


def _stated(read: ReadPiece) -> Iterator[tuple[tuple[Value, Value], Value]]:
    """Each percentage that is the only one in a line with one pair of ends."""
    lines: dict[int, list[Value]] = {}
    line, done = 0, 0
    for value in read.values:
        line += read.text.count("\n", done, value.start)
        done = value.start
        lines.setdefault(line, []).append(value)
    for values in lines.values():
        shares = [value for value in values if value.unit.dimension is Dimension.SHARE]
        others = [value for value in values if value.unit.dimension is not Dimension.SHARE]
        if len(shares) != 1 or len(others) != 2 or not _ARROW.fullmatch(read.text[others[0].end : others[1].start]):
            continue
        share = shares[0]
        gap = max(others[0].start - share.end, share.start - others[1].end)
        around = read.text[max(0, share.start - 24) : share.end + 24]
        if 0 <= gap <= _NEAR and _DIRECTION.search(around) and _alike(*others):
            yield (others[0], others[1]), share


def _alike(first: Value, second: Value) -> bool:
    return first.unit.dimension is second.unit.dimension and first.bound is second.bound is Bound.POINT


def _judged(first: Value, second: Value, share: Value, start: int, words: str) -> Remark | None:
    ends = _ends(first), _ends(second)
    if ends[0] is None or ends[1] is None or share.bound is not Bound.POINT:
        return None
    ratios = [new / old for old in ends[0] for new in ends[1]]
    claimed = Interval(*(None if end is None else abs(end) for end in _sorted(share)))
    truths = _truths(ratios, words)
    holds = any(claimed.scaled(Fraction(1, 100)).meets(truth) for truth in truths)
    exact = second.printed[0] / first.printed[0] * _size(second) / _size(first)
    shown = display_share(abs(1 - exact))
    fact = f"from {first.text} to {second.text} is {shown} {'less' if exact < 1 else 'more'}"
    if holds:
        return Remark(start, start + len(share.text), "change", Verdict.AGREES, fact)
    return Remark(start, start + len(share.text), "change", Verdict.DISAGREES, fact, f"print {shown}")


def _truths(ratios: list[Fraction], words: str) -> list[Interval]:
    """What a percentage of change may be, by its words: a share that goes, that comes, that is left, or of speed."""
    truths = [_hull([1 - ratio for ratio in ratios])]
    if not _FALLS.search(words) or _SPEED.search(words):
        inverse = [1 / ratio for ratio in ratios]
        truths += [_hull([ratio - 1 for ratio in ratios]), _hull([one - 1 for one in inverse]), _hull(inverse)]
    return [*truths, _hull(ratios)] if _LEFT.search(words) else truths


def _sorted(share: Value) -> tuple[Fraction | None, Fraction | None]:
    low, high = share.written.low, share.written.high
    return (high, low) if low is not None and low < 0 else (low, high)


def _size(value: Value) -> Fraction:
    return value.unit.readings[0][1]


def _ends(value: Value) -> tuple[Fraction, Fraction] | None:
    low, high = value.written.low, value.written.high
    if low is None or high is None or low <= 0:
        return None
    return low * _size(value), high * _size(value)


def _hull(numbers: list[Fraction]) -> Interval:
    return Interval(min(numbers), max(numbers))


def _in_table(grid: Grid) -> Iterator[Remark]:
    """Rows whose only two amounts have one saving beside them, where half of them show that it is theirs."""
    found: list[Remark] = []
    saved = [number for number, text in enumerate(grid.header) if _SAVED.search(text)]
    if len(saved) != 1:
        return
    for row in grid.rows[1:]:
        if len(row) <= saved[0]:
            continue
        start, _, text = row[saved[0]]
        share = parse_value(text, Dimension.SHARE)
        columns = [number for number in range(len(row)) if number != saved[0]]
        amounts = [value for number in columns if (value := _amount(row[number][2], grid.header, number)) is not None]
        if share is None or share.unit.dimension is not Dimension.SHARE or len(amounts) != 2 or not _alike(*amounts):
            continue
        first, second = amounts
        remark = _judged(first, second, share, start, _SAID_LESS)
        other = _judged(second, first, share, start, _SAID_LESS)
        if remark is not None and other is not None:
            found.append(remark if remark.verdict is Verdict.AGREES or other.verdict is not Verdict.AGREES else other)
    if 2 * sum(remark.verdict is Verdict.AGREES for remark in found) >= len(found):
        yield from found


def _amount(text: str, header: tuple[str, ...], column: int) -> Value | None:
    heading = header[column] if column < len(header) else ""
    value = cell_value(text, heading) or parse_value(text)
    return value if value is not None and value.unit.dimension is Dimension.BYTES else None
