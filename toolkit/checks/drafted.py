"""A draft that has been judged: a red mark stays only where no other meaning of the statement would make it true."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from toolkit.checks.judge import judge_spec
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.result import SpecReport
from toolkit.checks.unspecified.run import CHECKS
from toolkit.documents.bind import bind
from toolkit.documents.document import Document
from toolkit.documents.draft.draft import draft
from toolkit.documents.draft.drafted import Draft, DraftedClaim
from toolkit.documents.draft.write import write
from toolkit.documents.plain import plain
from toolkit.documents.scan.claim import Scanned
from toolkit.documents.scan.scan import scan
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.finding import Finding, Severity
from toolkit.frozen import frozen
from toolkit.spec.claim import Claim
from toolkit.spec.document_spec import Spec
from toolkit.spec.fields.value import Atom, Field, Fixed
from toolkit.spec.load import spec_from_text

_BY_ITSELF: Final = frozenset({"arithmetic", "gpu_memory", "change", "parameters"})
"""Quantities that the checks without a spec judge too: what they do not find false is not said to be."""

_BY_RANK: Final = frozenset({"trainable_parameters", "trainable_share", "adapters"})
"""Quantities that rank and modules decide, of which a draft says nothing."""

_OTHERWISE: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "peak_memory": (
        {"quantity": "weights"},
        {"metric": "allocated"},
        {"metric": "reserved"},
        {"subject": {"phase": "load"}},
        *({"quantity": part} for part in ("adapters", "gradients", "optimizer_states", "kv_cache")),
    ),
    "weights": (
        {"quantity": "peak_memory", "subject": {"phase": "load"}},
        {"quantity": "peak_memory"},
        {"quantity": "peak_memory", "metric": "allocated"},
        {"subject": {"plus": ("adapters",)}},
    ),
    "optimizer_states": (
        {"subject": {"plus": ("gradients",)}},
        {"subject": {"plus": ("master_weights",)}},
        {"subject": {"plus": ("gradients", "master_weights")}},
    ),
    "fits": ({"subject": {"says": "fits", "phase": "load"}},),
}
"""What else a statement about a quantity may mean."""

_FORMS: Final[Mapping[str, Sequence[dict[str, Atom]]]] = {
    "inference": [{"weights": form} for form in ("fp32", "int8", "nf4", "mxfp4", "fp8", "gptq-int4")],
    "lora": [{"weights": "int8"}, {"method": "qlora"}, {"weights": "fp32"}],
    "full": [{"master_weights": "fp32", "weights": "bf16"}, {"optimizer": "adamw_8bit"}],
}
"""Forms of weights that a document may mean which names none, by method."""

_MOST_NUMBERS: Final = 6
_DIGITS: Final = re.compile(r"\d+")
_RANK: Final = "of which rank, on which modules?"
_PRECISE: Final = "what is counted here? as another part of the memory, or at another moment, the figure holds"
_AT_ANOTHER: Final = "at which setting? with weights in another form, or at numbers that the document names, it holds"
_NOT_FOUND_FALSE: Final = "is it said of just this? by the document's own words it need not be false"


@frozen
class JudgedDraft:
    """A draft as text, what it holds, and the report of its first check; `findings` are what is wrong with the text."""

    text: str
    draft: Draft
    report: SpecReport | None
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many claims have each verdict."""
        return self.report.counts if self.report else dict.fromkeys(Verdict, 0)


@frozen
class Target:
    """Where a draft will lie: its file, the folder that is checked, its document from there, its slug, its schema."""

    path: Path
    root: Path
    document: str
    slug: str | None = None
    schema: str | None = None


def judged_draft(document: Document, target: Target, today: date) -> JudgedDraft:
    """Drafts the spec of a document, judges it, and asks about each red mark that another meaning would lift."""
    scanned = scan(document)
    settled = _settled(scanned)
    drafted = draft(scanned, settled)
    for _ in range(2):
        found = _judged(drafted, document, target, today)
        if found.report is None:
            return found
        doubt = _Doubt(found, document, settled_false(scanned, settled), today)
        questions = dict(doubt.questions())
        if not questions:
            return found
        claims = [replace(one, question=questions.get(at, one.question)) for at, one in enumerate(drafted.claims)]
        drafted = replace(drafted, claims=tuple(claims))
    return _judged(drafted, document, target, today)


def _settled(scanned: Scanned) -> dict[tuple[int, str], bool]:
    """What the checks that need no spec say of figures, by offset and quantity: whether they are true."""
    settled: dict[tuple[int, str], bool] = {}
    for check in CHECKS:
        for remark in check(scanned):
            if remark.verdict is not Verdict.UNCHECKED:
                key = remark.start, remark.quantity
                settled[key] = settled.get(key, True) and remark.verdict is Verdict.AGREES
    return settled


def settled_false(scanned: Scanned, settled: Mapping[tuple[int, str], bool]) -> frozenset[tuple[int, str]]:
    """Lines and quantities of what the checks that need no spec find false."""
    return frozenset((scanned.place(start, start).line, what) for (start, what), holds in settled.items() if not holds)


def _judged(drafted: Draft, document: Document, target: Target, today: date) -> JudgedDraft:
    text = write(drafted, target.document, slug=target.slug, schema=target.schema)
    if not drafted.claims:
        return JudgedDraft(text, drafted, None, ())
    spec, findings = spec_from_text(text, target.path, target.root)
    if spec is None:
        return JudgedDraft(text, drafted, None, tuple(findings))
    report = judge_spec(spec, bind(spec, document), today)
    errors = [one for one in (*findings, *report.findings) if one.severity is Severity.ERROR]
    return JudgedDraft(text, drafted, report, tuple(errors))


@frozen
class _Doubt:
    """Asks of a judged draft which of its red marks another meaning of the document would lift."""

    found: JudgedDraft
    document: Document
    false: frozenset[tuple[int, str]]
    today: date

    def questions(self) -> Iterator[tuple[int, str]]:
        """The places of claims that should wait, each with its question."""
        assert self.found.report is not None
        spec, judgements = self.found.report.spec, self.found.report.judgements
        by_id = {judgement.id: judgement for judgement in judgements}
        asked: dict[tuple[object, ...], str | None] = {}
        for at, (claim, drafted) in enumerate(zip(spec.claims, self.found.draft.claims, strict=True)):
            judgement = by_id.get(claim.id)
            if judgement is None or drafted.question is not None:
                continue
            if judgement.outcome.malformed is not None:
                yield at, f"what does it say? {judgement.outcome.reason}"
            elif judgement.verdict is Verdict.DISAGREES:
                key = (
                    (drafted.line, *_alike(claim, judgement))
                    if claim.quantity in _BY_ITSELF
                    else _alike(claim, judgement)
                )
                if key not in asked:
                    asked[key] = self._question(spec, claim, drafted, judgement)
                if (question := asked[key]) is not None:
                    yield at, question

    def _question(self, spec: Spec, claim: Claim, drafted: DraftedClaim, judgement: Judgement) -> str | None:
        if claim.quantity in _BY_ITSELF:
            return None if (drafted.line, claim.quantity) in self.false else _NOT_FOUND_FALSE
        if claim.quantity in _BY_RANK:
            return _RANK
        meant = tuple(self._others(spec, claim, judgement))
        for question in (_PRECISE, _AT_ANOTHER):
            claims = tuple(
                replace(claim, id=f"{claim.id}-{at}", **other)
                for at, (asked, other) in enumerate(meant)
                if asked == question
            )
            if not claims:
                continue
            other_spec = replace(spec, claims=claims)
            report = judge_spec(other_spec, bind(other_spec, self.document), self.today)
            if any(one.verdict in {Verdict.AGREES, Verdict.DEPENDS} for one in report.judgements):
                return question
        return None

    def _others(self, spec: Spec, claim: Claim, judgement: Judgement) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What else a claim may mean: another part of the memory, or another setting than what is taken for granted."""
        for other in _OTHERWISE.get(claim.quantity, ()):
            yield _PRECISE, {**other, "subject": {**claim.subject, **other.get("subject", {})}}
        text = plain(judgement.outcome.claimed.text) if judgement.outcome.claimed else ""
        if claim.quantity == "peak_memory" and not isinstance(find_gpu(text), UnknownName):
            yield _PRECISE, {"quantity": "fits", "subject": {"says": "fits"}, "overrides": _with(claim, gpu=text)}
        scenario = spec.scenario_of(claim)
        if scenario is None:
            return
        moved: list[dict[str, Atom]] = []
        if "weights" not in scenario.fields:
            moved += _FORMS.get(scenario.method, ())
        numbers = {
            name: named for name, named in self.found.draft.named.items() if named and name not in scenario.fields
        }
        moved += [{name: number} for name, those in numbers.items() for number in those[-_MOST_NUMBERS:]]
        if len(numbers) > 1:
            moved.append({name: max(those) for name, those in numbers.items()})
        for fields in moved:
            yield _AT_ANOTHER, {"overrides": _with(claim, **fields)}


def _alike(claim: Claim, judgement: Judgement) -> tuple[object, ...]:
    """What claims have in common of which the same is to be asked: all but the numbers that run on beside a figure."""
    claimed = judgement.outcome.claimed
    figure = (claimed.text, *claimed.readings.items()) if claimed else ()
    said = (str(claim.subject), str(claim.overrides), _DIGITS.sub("#", judgement.quote))
    return claim.quantity, claim.scenario, claim.metric, *said, *figure


def _with(claim: Claim, **fields: Atom) -> Mapping[str, Field | None]:
    """The overrides of a claim, with fields said anew."""
    return {**claim.overrides, **{name: Field(Fixed(value), claim.place) for name, value in fields.items()}}
