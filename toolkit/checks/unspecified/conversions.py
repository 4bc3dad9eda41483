"""One amount in two units: "14 GB (13.04 GiB)", "16 GiB = 17.2 GB"."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.scan.claim import Scanned
from toolkit.quantity import Bound, Dimension, Value, display_bytes

_OPENS: Final = re.compile(r"[\s*_`]*(\(|=|≈|/)[\s*_`]*(?:or|i\.e\.|≈|=)?[\s*_`]*")
_BINARY: Final = re.compile(r"[KMGTP]iB")


def check_conversions(scanned: Scanned) -> Iterator[Remark]:
    """An amount in GiB beside one in GB, where neither has words of its own."""
    for read in scanned.pieces:
        if _BINARY.search(read.text) is None:
            continue
        starts = [equation.start for equation in read.equations]
        for one, other in pairwise(read.values):
            within = bisect_right(starts, one.start) - 1
            taken = within >= 0 and one.start < read.equations[within].end
            if taken or not _same_amount(read.text, one, other):
                continue
            start = read.piece.start + other.start
            yield _judged(one, other, start, start + other.end - other.start)


def _same_amount(text: str, one: Value, other: Value) -> bool:
    if not all(value.unit.dimension is Dimension.BYTES and value.bound is Bound.POINT for value in (one, other)):
        return False
    if len({bool(_BINARY.fullmatch(value.unit.symbol)) for value in (one, other)}) != 2:
        return False
    joint = _OPENS.fullmatch(text, one.end, other.start)
    if joint is None:
        return False
    after = text[other.end : other.end + 8].lstrip("*_` ")
    if joint[1] == "(":
        return after.startswith(")")
    return not after[:1].isalnum() and joint[1] != "/"


def _judged(one: Value, other: Value, start: int, end: int) -> Remark:
    pairs = [(a, b) for a in one.readings().values() for b in other.readings().values()]
    binary = _BINARY.fullmatch(other.unit.symbol) is not None
    exact = one.printed[0] * dict(one.unit.readings).get("decimal", one.unit.readings[0][1])
    shown = display_bytes(exact, "binary" if binary else "decimal")
    if any(a.meets(b) for a, b in pairs):
        return Remark(start, end, "arithmetic", Verdict.AGREES, f"{one.text} is {shown}")
    return Remark(start, end, "arithmetic", Verdict.DISAGREES, f"{one.text} is {shown}", f"print {shown}")
