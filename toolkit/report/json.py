"""The check as one JSON object: whole numbers exact, no NaN, the same bytes for the same input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction

from toolkit.checks.judgement import Claimed, Ignored, Judgement
from toolkit.checks.result import CheckResult
from toolkit.evidence.evidence import Evidence
from toolkit.finding import Finding, Place, Suggestion
from toolkit.quantity import Dimension, Interval

BASE_UNITS: Mapping[Dimension, str] = {
    Dimension.BYTES: "bytes",
    Dimension.COUNT: "count",
    Dimension.SHARE: "share",
    Dimension.SECONDS: "seconds",
    Dimension.MONEY: "USD",
    Dimension.RATIO: "ratio",
    Dimension.NUMBER: "number",
}
"""The unit of the ends of intervals, by dimension."""


def check_json(result: CheckResult) -> str:
    """The claims, the findings and the counts."""
    return as_json(
        {
            "claims": [_claim(judgement) for judgement in result.judgements],
            "findings": [finding_json(finding) for finding in result.all_findings],
            "counts": check_counts(result),
            **_coverage(result),
        }
    )


def _coverage(result: CheckResult) -> dict[str, object]:
    """The coverage of each document, if the run looked for figures."""
    if all(report.figures is None for report in result.reports):
        return {}
    from toolkit.checks.coverage import coverages  # noqa: PLC0415 - few runs ask for it

    return {
        "coverage": [
            {
                "document": one.document,
                "figures": one.counted,
                "covered": one.counted - len(one.open),
                "ignored": one.ignored,
                "percent": round(one.share, 1),
                "open": [
                    {**place_json(figure.place), "text": figure.text, "quantity": figure.quantity}
                    for figure in one.open
                ],
            }
            for one in coverages(result)
        ]
    }


def check_counts(result: CheckResult) -> dict[str, int]:
    """How many claims, documents and findings there are, and how many claims have each verdict."""
    return {
        "claims": len(result.judgements),
        "documents": result.documents,
        **{verdict.value: count for verdict, count in result.counts.items()},
        "acknowledged": result.acknowledged,
        "ignored": result.ignored,
        "findings": len(result.all_findings),
    }


def as_json(value: object) -> str:
    """Indented JSON in ASCII, so that no text in it can steer a terminal."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def number(value: Fraction | int | None) -> int | float | None:
    """An exact number for JSON: a whole number as int, any other as the nearest float."""
    if value is None:
        return None
    exact = Fraction(value)
    if exact.denominator == 1:
        return int(exact)
    try:
        return float(exact)
    except OverflowError:  # beyond any float, where its fraction means nothing
        return round(exact)


def _claim(judgement: Judgement) -> dict[str, object]:
    outcome, said = judgement.outcome, judgement.acknowledged
    return {
        "id": judgement.id,
        "document": judgement.place.path,
        **place_json(judgement.place),
        "spec": {"path": judgement.spec_place.path, **place_json(judgement.spec_place)},
        "quote": judgement.quote,
        "scenario": judgement.scenario,
        "quantity": judgement.quantity,
        "code": judgement.code,
        "claimed": _claimed(outcome.claimed) if outcome.claimed else None,
        "evidence": [_evidence(evidence) for evidence in outcome.evidence],
        "verdict": judgement.verdict.value,
        "boundary": outcome.boundary,
        "reason": outcome.reason,
        "repair": outcome.repair,
        "acknowledged": said and {"reason": said.reason, "until": said.until.isoformat() if said.until else None},
        "ignored": ignored_json(judgement.ignored) if judgement.ignored else None,
    }


def ignored_json(ignored: Ignored) -> dict[str, object]:
    """The comment that ignores a claim, as a JSON object."""
    until = ignored.until.isoformat() if ignored.until else None
    return {"reason": ignored.reason, "until": until, "path": ignored.place.path, **place_json(ignored.place)}


def _claimed(claimed: Claimed) -> dict[str, object]:
    whole = Interval.covering(claimed.readings.values()) if claimed.readings else None
    return {
        "text": claimed.text,
        "low": number(whole.low) if whole else None,
        "high": number(whole.high) if whole else None,
        "unit": BASE_UNITS[claimed.dimension] if claimed.dimension else None,
        "symbol": claimed.unit or None,
        "readings": {name: _interval(interval) for name, interval in claimed.readings.items()},
    }


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "kind": evidence.kind.value,
        **_interval(evidence.value),
        "error": number(evidence.error),
        "stack": evidence.stack,
        "facts": list(evidence.facts),
    }


def _interval(interval: Interval) -> dict[str, int | float | None]:
    return {"low": number(interval.low), "high": number(interval.high)}


def finding_json(finding: Finding) -> dict[str, object]:
    """A finding as a JSON object."""
    return {
        "path": finding.place.path,
        **place_json(finding.place),
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "repair": finding.repair,
        "related": [
            {"path": related.place.path, **place_json(related.place), "text": related.text}
            for related in finding.related
        ],
        "suggestion": _suggestion(finding.suggestion) if finding.suggestion else None,
    }


def _suggestion(suggestion: Suggestion) -> dict[str, object]:
    pieces = [{"sign": sign, "text": text} for sign, text in suggestion.diff]
    return {"text": suggestion.text, "diff": pieces, "safe": suggestion.safe}


def place_json(place: Place) -> dict[str, int | None]:
    """A place as a JSON object, without its path."""
    return {
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
    }
