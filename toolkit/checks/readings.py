"""Whether a document's GB are decimal or binary: as it declares, else as its exact statements require."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from toolkit.checks.case import READINGS, Case
from toolkit.checks.registry import CHECKERS
from toolkit.finding import Finding, Severity
from toolkit.quantity import Reading
from toolkit.quantity.value import Dimension
from toolkit.spec.document_spec import Spec


def readings_of(spec: Spec, cases: Iterable[Case]) -> tuple[tuple[Reading, ...], list[Finding]]:
    """The readings that a document admits, and a warning where its exact statements need both."""
    if spec.units is not None:
        return (_reading(spec.units.reading),), []
    needs: dict[Reading, list[Case]] = {"decimal": [], "binary": []}
    for case in cases:
        agreeing = [reading for reading in READINGS if _agrees(case, reading)]
        if len(agreeing) == 1:
            needs[agreeing[0]].append(case)
    decimal, binary = needs["decimal"], needs["binary"]
    if decimal and binary:
        message = (
            f'"GB" means 10^9 bytes at {decimal[0].bound.place} and 2^30 bytes at {binary[0].bound.place};'
            " both readings are admitted"
        )
        repair = "say in the document which of the two is meant, and use it throughout"
        return READINGS, [Finding(binary[0].bound.place, "D207", message, repair, Severity.WARNING)]
    if decimal or binary:
        return (("decimal",) if decimal else ("binary",)), []
    return READINGS, []


def _agrees(case: Case, reading: Reading) -> bool:
    agrees = CHECKERS[case.claim.quantity].agrees
    return agrees is not None and agrees(replace(case, readings=(reading,)))


def tells_reading(case: Case) -> bool:
    """Whether a claim is an exact statement in a unit that has two readings."""
    if CHECKERS[case.claim.quantity].agrees is None or case.claim.unchecked is not None:
        return False
    value = case.value(Dimension.BYTES)
    return value is not None and len(value.unit.readings) > 1


def _reading(name: str) -> Reading:
    return "binary" if name == "binary" else "decimal"
