"""Gives each claim its id: the one that the spec names, or one that follows from what the claim says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from toolkit.finding import Finding, Place
from toolkit.spec.claim import LONG_ID_DIGITS, Claim, derived_id
from toolkit.spec.yaml.known import shown


def identified(claims: Iterable[Claim], slug: str) -> tuple[tuple[Claim, ...], list[Finding]]:
    """The claims with their ids, and findings about claims that repeat another."""
    findings: list[Finding] = []
    named = list(claims)
    short: dict[str, list[int]] = {}
    for index, claim in enumerate(named):
        key = claim.id or derived_id(slug, claim.scenario, claim.quantity, claim.source)
        short.setdefault(key, []).append(index)
    for key, indexes in short.items():
        for index in indexes:
            claim = named[index]
            clash = len(indexes) > 1 and not claim.id
            longer = derived_id(slug, claim.scenario, claim.quantity, claim.source, LONG_ID_DIGITS) if clash else key
            named[index] = replace(claim, id=longer)
        if len(indexes) > 1:
            findings += _repeated([named[index] for index in indexes])
    return tuple(named), findings


def _repeated(claims: list[Claim]) -> list[Finding]:
    """Findings about claims with equal ids, which are long enough to differ for different claims."""
    findings = []
    first: dict[str, Place] = {}
    for claim in claims:
        earlier = first.setdefault(claim.id, claim.place)
        if earlier is not claim.place:
            named = f"the id {shown(claim.id)}" if "id" in claim.places else f"this claim of {claim.quantity}"
            message = f"{named} is written twice: first in line {earlier.line}"
            repair = "delete one, or tell them apart by id:, under: or occurrence:"
            findings.append(Finding(_id_place(claim), "S102", message, repair))
    return findings


def _id_place(claim: Claim) -> Place:
    return claim.place_of("id") if "id" in claim.places else claim.place
