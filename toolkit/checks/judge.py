"""Judges every claim of a spec against its bound document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

from toolkit.checks.case import Case
from toolkit.checks.judgement import Acknowledgement, Claimed, Judgement, Outcome, Verdict
from toolkit.checks.readings import readings_of, tells_reading
from toolkit.checks.registry import CHECKERS
from toolkit.checks.result import SpecReport
from toolkit.checks.situations.situation import all_moved
from toolkit.checks.situations.situations import Situations
from toolkit.checks.traced import stale_findings
from toolkit.checks.traces import read_traces
from toolkit.documents.bind import Binding, BoundClaim
from toolkit.finding import Finding, Place
from toolkit.quantity.value import Value
from toolkit.spec.claim import Claim
from toolkit.spec.document_spec import Spec


def judge_spec(spec: Spec, binding: Binding, today: date) -> SpecReport:
    """Judges every bound claim of a spec. The findings of the binding (lost quotes) are passed on."""
    traces, unread = read_traces(spec.path, spec.shown_path)
    situations = Situations(spec, binding.values, traces)
    parsed = {name: value for name, bound in binding.values.items() if (value := bound.value) is not None}
    cases = [_case(bound, binding, parsed, situations) for bound in binding.claims]
    readings, units = readings_of(spec, (case for case in cases if tells_reading(case)))
    findings = [*binding.findings, *units, *unread]
    if traces is not None:
        kept = {one.scenario for one in (*traces.records, *traces.measured)}
        findings += stale_findings(traces, situations.of_scenarios(kept), all_moved())
    judgements = []
    for case in cases:
        outcome = _judged(replace(case, readings=readings))
        judgements.append(_judgement(case.bound, outcome))
        findings += _about(case.claim, case.bound, outcome, today)
    ordered = sorted(judgements, key=lambda judgement: (judgement.place, judgement.code, judgement.id))
    return SpecReport(spec, tuple(ordered), tuple(findings))


def _case(bound: BoundClaim, binding: Binding, parsed: Mapping[str, Value], situations: Situations) -> Case:
    scenario = situations.scenario(bound.claim)
    gpu = scenario.fixed("gpu") if scenario else None
    start, end = situations.ends_of_change(bound.claim)
    return Case(
        bound,
        named=binding.values,
        parsed=parsed,
        situation=situations.situation(bound.claim),
        scenario=scenario,
        gpu=str(gpu) if gpu is not None else None,
        start=start,
        end=end,
    )


def _judged(case: Case) -> Outcome:
    """The outcome of a claim; one that the spec declares unchecked stays so, with the spec's reason."""
    if case.claim.unchecked is not None:
        return Outcome(Verdict.UNCHECKED, case.claim.unchecked, Claimed(case.text))
    return CHECKERS[case.claim.quantity].judge(case)


def _judgement(bound: BoundClaim, outcome: Outcome) -> Judgement:
    claim = bound.claim
    said = claim.acknowledged
    return Judgement(
        id=claim.id,
        place=bound.slot_place or bound.place,
        spec_place=claim.place,
        quote=bound.quote_text,
        scenario=claim.scenario,
        quantity=claim.quantity,
        code=CHECKERS[claim.quantity].code,
        outcome=outcome,
        acknowledged=Acknowledgement(said.reason, said.until) if said else None,
    )


def _about(claim: Claim, bound: BoundClaim, outcome: Outcome, today: date) -> Iterator[Finding]:
    """Findings about a claim: a slot that holds no value, an acknowledgement that has expired or is needless."""
    if outcome.malformed is not None:
        place: Place = bound.slot_place or bound.place
        message = f"claim {claim.id}: {outcome.malformed}"
        yield Finding(place, "D204", message, "move the slot, or name another quantity")
    said = claim.acknowledged
    if said is None:
        return
    if outcome.verdict is not Verdict.DISAGREES:
        message = f"claim {claim.id} is acknowledged as wrong, but it {_now(outcome.verdict)}"
        yield Finding(said.place, "K902", message, "take the acknowledgement out")
    elif said.until is not None and said.until < today:
        message = f"claim {claim.id}: the acknowledgement ended on {said.until.isoformat()}"
        yield Finding(said.place, "K901", message, "correct the document, or acknowledge it anew with a reason")


def _now(verdict: Verdict) -> str:
    return {
        Verdict.AGREES: "agrees now",
        Verdict.DEPENDS: "depends on what the scenario leaves open",
        Verdict.UNCHECKED: "is unchecked",
    }[verdict]
