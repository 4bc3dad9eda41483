"""Marks that say that something fits, against the need and the card in the same row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.values import cell_value
from toolkit.quantity import Bound, Dimension, Mark, Value, display_bytes, find_values, parse_value

_NEED: Final = re.compile(
    r"\b(?:required|requirements?|needed|need|usage|used|peak|min\w*|consum\w+|footprint|v-?ram|memory)\b",
    re.IGNORECASE,
)
_ROOMY: Final = Fraction(1, 2)
"""A need under this share of a card's memory is met beyond doubt, whatever the driver and other programs keep."""

_ELSEWHERE: Final = re.compile(
    r"\boffload\w*|\bcpu\b|\bmulti|\b\d+\s?[x×]|(?<![A-Za-z])[x×]\s?\d|\bgpus\b|\bslow|\bspeed|\bper gpu\b",
    re.IGNORECASE,
)


def check_room(scanned: Scanned) -> Iterator[Remark]:
    """Marks in a row with one stated need, under or beside one card or one amount."""
    for claim in scanned.claims:
        if claim.mark is None or claim.piece.grid is None:
            continue
        remark = _judged(claim)
        if remark is not None:
            yield remark


def _judged(claim: FoundClaim) -> Remark | None:
    grid, (row, column) = claim.piece.grid, claim.piece.spot
    assert grid is not None, "asked only of cells"
    texts = [text for _, _, text in grid.rows[row]]
    if any(_ELSEWHERE.search(text) for text in (*texts, *claim.piece.headings[:1], *grid.header)):
        return None
    room = _capacity(claim.piece.column) or _capacity(claim.piece.row)
    need = _need(texts, grid.header, column)
    if room is None or need is None:
        return None
    shown = f"{display_bytes(room, 'binary')}"
    if claim.mark is not Mark.NO and need.bound is not Bound.AT_MOST:
        least = min(need.written.scaled(size).low or Fraction(0) for _, size in need.unit.readings)
        if least > room:
            reason = f"the same row says {need.text}, more than the {shown} of the card"
            return Remark(
                claim.start, claim.end, "fits", Verdict.DISAGREES, reason, "mark it as not fitting, or correct the need"
            )
    if claim.mark is Mark.NO and need.written.high is not None:
        most = max((need.written.scaled(size).high or Fraction(0)) for _, size in need.unit.readings)
        if most < room * _ROOMY:
            reason = f"the same row says {need.text}, less than half of the {shown} of the card"
            return Remark(
                claim.start, claim.end, "fits", Verdict.DISAGREES, reason, "mark it as fitting, or correct the need"
            )
    return None


def _capacity(label: str) -> int | None:
    """The memory that a label names: that of its card, or the one amount in it."""
    values = [value for value in find_values(label[:80]) if value.unit.dimension is Dimension.BYTES]
    if len(values) == 1 and len(values[0].printed) == 1 and values[0].bound is Bound.POINT:
        return int(values[0].printed[0] * values[0].unit.readings[-1][1])
    named = gpus_in(label)
    if values or len(named) != 1:
        return None
    sizes = {size for gpu in named[0].card.members for size in gpu.sold_as}
    return max(sizes)


def _need(texts: list[str], header: tuple[str, ...], column: int) -> Value | None:
    """The one amount of the row that its column calls a need."""
    found: list[Value] = []
    for number, text in enumerate(texts[: len(header)]):
        if number in {0, column} or not _NEED.search(header[number]) or gpus_in(header[number]):
            continue
        value = parse_value(text, Dimension.BYTES) or cell_value(text, header[number])
        if value is not None:
            found.append(value)
    labelled = gpus_in(texts[0]) if texts else []
    return found[0] if len(found) == 1 and not labelled else None
