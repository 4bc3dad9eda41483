"""Evidence as one line of text, in the unit of the claim that it is about."""

from __future__ import annotations

from toolkit.checks.judgement import Claimed
from toolkit.evidence.evidence import Evidence
from toolkit.quantity import Dimension, Interval, Reading, display_count, display_interval

LARGEST = 10**15
"""Counts from here on are shown with their leading digits only."""


def evidence_line(evidence: Evidence, claimed: Claimed | None, reason: str = "") -> str:
    """The kind, the value with its known error, the software, and the facts that the reason does not state."""
    parts = [evidence.kind.value]
    if claimed is not None and claimed.dimension is not None:
        parts.append(amount(evidence.value, claimed.dimension, reading_of(claimed)))
    if evidence.error:
        parts.append(f"± {float(evidence.error) * 100:.2g} %")
    if evidence.stack:
        parts.append(f"[{evidence.stack}]")
    said = " ".join(parts)
    facts = "; ".join(fact for fact in evidence.facts if fact not in reason)
    return f"{said}: {facts}" if facts else said


def reading_of(claimed: Claimed) -> Reading:
    """The units in which a claim's evidence is shown: binary where the claim is about GiB."""
    binary = "binary" in claimed.readings and "decimal" not in claimed.readings
    return "binary" if binary or claimed.unit.endswith("iB") else "decimal"


def amount(interval: Interval, dimension: Dimension, reading: Reading) -> str:
    """An interval in words; a count is shown to the unit."""
    low = interval.low
    counts = dimension in (Dimension.COUNT, Dimension.NUMBER)
    if counts and low is not None and low == interval.high and low.denominator == 1 and abs(low) < LARGEST:
        return display_count(int(low))
    return display_interval(interval, dimension, reading)
