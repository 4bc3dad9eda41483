"""The table of errors as JSON: every group, every reading, and the worst runs with their ledgers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from toolkit.accuracy.score import Score, Scores
from toolkit.accuracy.statistics import Errors
from toolkit.accuracy.table import Table
from toolkit.report.json import as_json

DIGITS = 6


def accuracy_json(table: Table, scores: Scores) -> str:
    """The whole table as one JSON object, the same bytes for the same input. Errors are shares of what was read."""
    return as_json(
        {
            "counts": {"runs": table.runs, "readings": table.readings, "scored": table.scored},
            "columns": [
                {
                    "column": column.name,
                    "half": column.half,
                    "runs": column.runs,
                    "median": _rounded(column.median),
                    "p95": _rounded(column.p95),
                    "sources": {source: _errors(errors) for source, errors in column.sources},
                }
                for column in table.columns
            ],
            "misses": [
                {
                    "source": miss.source,
                    "column": miss.column,
                    **_errors(miss.errors),
                    "widest": _rounded(miss.widest),
                    "over": list(miss.over),
                    "causes": list(miss.causes),
                }
                for miss in table.misses
            ],
            "groups": [
                {
                    "metric": group.metric,
                    "complete": group.complete,
                    "half": group.half,
                    "by": group.by,
                    "value": group.value,
                    **_errors(group.errors),
                }
                for group in table.groups
            ],
            "worst": [{**_score(score), "ledger": _ledger(score)} for score in table.worst],
            "not_estimated": [asdict(reason) for reason in table.reasons],
            "readings": [_score(score) for score in scores.scored],
            "unscored": [
                {"id": one.reading.id, "source": one.source, "run": one.run.run, "metric": one.reading.metric,
                 "reason": one.reason, "apart": one.apart}
                for one in scores.unscored
            ],
        }
    )  # fmt: skip


def _errors(errors: Errors) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(errors).items()}


def _score(score: Score) -> dict[str, Any]:
    return {
        "id": score.reading.id,
        "source": score.source,
        "run": score.run.run,
        "half": score.half,
        "model": score.run.scenario.fixed("model"),
        "method": score.run.scenario.method,
        "metric": score.reading.metric,
        "read": score.read,
        "estimated": list(score.estimated),
        "complete": score.complete,
        "error": _rounded(score.error),
        "width": _rounded(score.width),
    }


def _ledger(score: Score) -> dict[str, Any]:
    phase = score.largest.ledger.peak
    return {
        "phase": phase.name.value,
        "rows": [{"row": row.name, "bytes": row.bytes} for row in phase.rows],
        "total": phase.total,
    }


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, DIGITS) + 0.0
