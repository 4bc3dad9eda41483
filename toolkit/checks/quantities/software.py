"""Software: whether releases exist, allow each other, and know a model or a format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.facts.names import UnknownName
from toolkit.facts.software import Allowed, UnknownRelease, allows, first_support, release, supports, versions
from toolkit.quantity.interval import Interval

MAX_TRIED = 20
"""Releases on each side of a forbidden one that are tried for the repair."""

_VERSION = re.compile(r"\d+(?:\.\d+){0,3}(?:(?:a|b|rc|\.post|\.dev)\d+)?(?:\+[a-z0-9.]{1,20})?")


def judge_software(case: Case) -> Outcome:
    """Judges the version at the quote by what the claim's subject asks of it.

    What a package supports may be said without a version: then it is said of all releases up to the newest.
    """
    package = str(case.claim.subject.get("package", ""))
    found = _VERSION.search(case.text)
    if found is None and "supports" in case.claim.subject:
        return _supports(case, package, None)
    if found is None:
        return malformed("version", case)
    version = found.group()
    claimed = Claimed(case.text)
    known = release(package, version)
    if isinstance(known, UnknownName):
        return Outcome(Verdict.UNCHECKED, f"no releases of {package} are among the facts", claimed)
    if isinstance(known, UnknownRelease):
        return _absent(package, known, claimed)
    subject = case.claim.subject
    if "with" in subject:
        return _together(case, package, version, claimed)
    if "supports" in subject:
        return _supports(case, package, version)
    fact = f"{package} {known.version} was released on {known.date}"
    if known.yanked is not None:
        fact += f" and withdrawn ({known.yanked or 'no reason given'})"
    return Outcome(Verdict.AGREES, fact, claimed, (_exact(fact),))


def _absent(package: str, unknown: UnknownRelease, claimed: Claimed) -> Outcome:
    if unknown.later:
        return Outcome(Verdict.UNCHECKED, f"{unknown.reason}, so nothing is known of it", claimed)
    fact = f"there is no release {unknown.version} of {package}: {unknown.reason}"
    near = ", ".join(unknown.nearest)
    repair = f"name a release that exists (nearest: {near})" if near else "name a release that exists"
    return Outcome(Verdict.DISAGREES, fact, claimed, (_exact(fact),), repair=repair)


def _together(case: Case, package: str, version: str, claimed: Claimed) -> Outcome:
    """What the declared requirements of either package say of the other's version.

    Metadata that forbids a pair settles it. Metadata that allows one is what "compatible" can mean before anything is
    run; it does not show that nothing breaks, so a reported incompatibility stays unchecked beside it.
    """
    says_compatible = case.claim.subject.get("says", "compatible") == "compatible"
    facts, forbidden, unknown = [], False, False
    for other, other_version in _others(case):
        this, that = (package, version), (other, other_version)
        for (one, its), (two, theirs) in ((that, this), (this, that)):
            answer = allows(one, its, two, theirs)
            if not isinstance(answer, Allowed) or answer.answer is None:
                unknown = True
            elif not answer.answer:
                forbidden = True
                facts.append(f"{one} {its} declares {answer.requirement}, which excludes {two} {theirs}")
            elif answer.requirement:
                facts.append(f"{one} {its} declares {answer.requirement}, which admits {two} {theirs}")
    if forbidden and says_compatible:
        repair = _admitted(package, version, list(_others(case)))
        return Outcome(Verdict.DISAGREES, "; ".join(facts), claimed, tuple(map(_exact, facts)), repair=repair)
    return _compatibility(claimed, facts, forbidden=forbidden, unknown=unknown, says_compatible=says_compatible)


def _admitted(package: str, version: str, others: list[tuple[str, str]]) -> str:
    """The releases nearest to a version, before and after it, that the other packages admit."""
    known = versions(package)
    at = known.index(version) if version in known else len(known)
    before = _first(package, reversed(known[max(0, at - MAX_TRIED) : at]), others)
    after = _first(package, iter(known[at + 1 : at + 1 + MAX_TRIED]), others)
    near = [release for release in (before, after) if release]
    return (
        f"name a release that the requirements admit (nearest: {', '.join(near)})" if near else "name another release"
    )


def _first(package: str, releases: Iterator[str], others: list[tuple[str, str]]) -> str | None:
    def admits(release: str) -> bool:
        answers = (allows(other, its, package, release) for other, its in others)
        return all(isinstance(answer, Allowed) and answer.answer for answer in answers)

    return next((release for release in releases if admits(release)), None)


def _compatibility(
    claimed: Claimed, facts: list[str], *, forbidden: bool, unknown: bool, says_compatible: bool
) -> Outcome:
    evidence = tuple(_exact(fact) for fact in facts)
    reason = "; ".join(facts) or "neither declares anything about the other"
    if forbidden:
        return Outcome(Verdict.AGREES, reason, claimed, evidence)
    if not says_compatible:
        reason = f"{reason}; whether they break when run, no metadata shows"
        return Outcome(Verdict.UNCHECKED, reason, claimed, evidence)
    if unknown and not facts:
        return Outcome(Verdict.UNCHECKED, "their requirements are not recorded", claimed)
    return Outcome(Verdict.AGREES, reason, claimed, evidence)


def _others(case: Case) -> Iterator[tuple[str, str]]:
    others = case.claim.subject.get("with")
    if isinstance(others, Mapping):
        for name, version in others.items():
            found = _VERSION.search(case.referred(str(version)))
            if found:
                yield str(name), found.group()


def _supports(case: Case, package: str, version: str | None) -> Outcome:
    """Whether a version, or without one the newest, knows a feature; `says: unsupported` where the text denies it."""
    claimed, feature = Claimed(case.text), str(case.claim.subject["supports"])
    support = first_support(package, feature)
    known = support is not None if version is None else supports(package, version, feature)
    if support is None or known is None:
        return Outcome(Verdict.UNCHECKED, f"since when {package} knows {feature} is not recorded", claimed)
    fact = f"{package} knows {support.feature} since {support.since} ({support.source})"
    denied = case.claim.subject.get("says") == "unsupported"
    if known is not denied:
        return Outcome(Verdict.AGREES, fact, claimed, (_exact(fact),))
    repair = f"say that {package} knows {support.feature}" if denied else f"name {package} {support.since} or later"
    return Outcome(Verdict.DISAGREES, fact, claimed, (_exact(fact),), repair=repair)


def _exact(fact: str) -> Evidence:
    return Evidence(EvidenceKind.EXACT, Interval(None, None), facts=(fact,))
