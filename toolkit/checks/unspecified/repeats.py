"""One quantity of one situation that a document states twice, and differently.

Nothing here says which of the two is false, or whether what the document leaves unsaid differs: no verdict is given.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.quantity import Bound, Value

STATED: Final = frozenset(
    {"peak_memory", "weights", "gradients", "optimizer_states", "activations", "kv_cache", "parameters"}
)
"""Quantities with a single value in one situation."""

TOLD_APART: Final = ("model", "method", "gpu", "precision", "batch_size", "sequence_length")
"""The fields that distinguish situations."""

_NEEDED: Final = frozenset({"method", "precision"})
"""Fields of which a situation must name at least one beside its model, as a model alone has many situations."""


def check_repeats(scanned: Scanned) -> Iterator[Remark]:
    """Figures that do not meet the first one said of the same quantity, model, method, precision, card and sizes."""
    terms = terms_of(scanned)
    first: dict[tuple[str | None, ...], tuple[FoundClaim, Value]] = {}
    for claim in scanned.claims:
        value = claim.value
        if value is None or not _comparable(claim, value) or claim.start in terms:
            continue
        key = (claim.quantity, *(claim.context.get(name) for name in TOLD_APART))
        known, said = first.setdefault(key, (claim, value))
        if known is claim or _apart(known, claim) or meet(said, value):
            continue
        line = scanned.place(known.start, known.end).line
        same = " and ".join(name.replace("_", " ") for name in TOLD_APART if name in claim.context)
        reason = f"line {line} says {' '.join(said.text.split())} of the same {same}"
        yield Remark(claim.start, claim.end, claim.quantity, Verdict.UNCHECKED, reason)


def _comparable(claim: FoundClaim, value: Value) -> bool:
    named: Mapping[str, str] = claim.context
    if claim.quantity not in STATED or value.bound is not Bound.POINT or "model" not in named:
        return False
    return claim.quantity == "parameters" or any(name in named for name in _NEEDED)


def _apart(one: FoundClaim, other: FoundClaim) -> bool:
    """Whether two figures stand in one piece of text, or in rows of one table, which tell apart what they are of."""
    if one.piece.start == other.piece.start:
        return True
    same_table = one.piece.grid is not None and one.piece.grid is other.piece.grid
    return same_table and one.piece.spot[0] != other.piece.spot[0]


def meet(one: Value, other: Value) -> bool:
    """Whether two figures may be one, in any of their readings."""
    if one.unit.dimension is not other.unit.dimension:
        return True
    return any(a.meets(b) for a in one.readings().values() for b in other.readings().values())


def terms_of(scanned: Scanned) -> frozenset[int]:
    """Where the terms of written equations stand: each is a part of a quantity, not all of it."""
    found: set[int] = set()
    for read in scanned.pieces:
        starts = [value.start for value in read.values] if read.equations else []
        for equation in read.equations:
            terms = starts[bisect_left(starts, equation.start) : bisect_left(starts, equation.result)]
            found.update(read.piece.start + term for term in terms)
    return frozenset(found)
