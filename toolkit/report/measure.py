"""Plans, measurements and comparisons, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from toolkit.evidence.record import Record
from toolkit.memory.measure.compare import Comparison, Line
from toolkit.memory.measure.plan import Planned
from toolkit.quantity import display_bytes
from toolkit.report.json import as_json
from toolkit.report.terminal import INDENT, Paint, line, plural, table

FITS = {True: "fits", False: "does not fit", None: "not known"}


def plan_text(plan: Sequence[Planned], card: str, budget_s: float | None) -> str:
    """The jobs in their order, the time and memory that each is expected to take, and where the budget ends."""
    rows = [("", "scenario", "claims", "expected", "needed", f"on {card}")]
    spent, cut = 0.0, False
    for number, one in enumerate(plan, 1):
        spent += one.job.seconds
        over = budget_s is not None and spent > budget_s
        if over and not cut:
            rows.append(("", f"-- the budget of {budget_s:.0f} s ends here --", "", "", "", ""))
            cut = True
        rows.append((str(number), line(one.job.label), str(one.job.claims), one.expected, _needed(one), FITS[one.fits]))
    total = sum(one.job.seconds for one in plan)
    claims = plural(sum(one.job.claims for one in plan), "claim")
    head = f"{plural(len(plan), 'measurement')}, {claims} waiting, {total:.0f} s in all"
    return "\n".join([head, *table(rows, frozenset({0, 2, 3, 4}))]) + "\n"


def plan_json(plan: Sequence[Planned], card: str) -> str:
    """The plan as JSON."""
    jobs = [
        {
            "scenario": one.job.label,
            "model": one.job.setting.model,
            "method": one.job.setting.method,
            "claims": one.job.claims,
            "seconds": round(one.job.seconds, 1),
            "bytes": one.job.bytes,
            "fits": one.fits,
        }
        for one in plan
    ]
    return as_json({"gpu": card, "plan": jobs})


def measured_json(records: Sequence[Record], not_measured: Sequence[tuple[str, str]]) -> str:
    """The records as JSON, and what was not measured, with the reason."""
    left: list[dict[str, Any]] = [{"scenario": scenario, "reason": reason} for scenario, reason in not_measured]
    return as_json(
        {"measured": [{"identity": record.identity, **asdict(record)} for record in records], "not_measured": left}
    )


def comparison_text(record: Record, comparison: Comparison, paint: Paint) -> str:
    """The ledgers side by side, and below them what is outside its tolerance."""
    peak = record.peak
    reserved, card = _ends(peak["reserved"]), _ends(peak["device"])
    lines = [
        paint.bold(line(f"{record.scenario}: {record.setting['model']}, {record.setting['method']}, on {record.gpu}")),
        line(f"{INDENT}peak in {peak['phase'].replace('_', ' ')}; reserved {reserved}, card {card}"),
    ]
    rows: list[tuple[str, ...]] = [("", "computed", "traced", "measured", "computed is", "traced is")]
    rows += [_row(one) for one in comparison.lines]
    lines += [f"{INDENT}{text}" for text in table(rows, frozenset({1, 2, 3, 4, 5}))]
    lines += [f"{INDENT}{paint.red(line(failure))}" for failure in comparison.failures]
    return "\n".join(lines) + "\n"


def _row(one: Line) -> tuple[str, ...]:
    name = one.name.replace("_", " ")
    gaps = (_gap(one.computed, one.measured), _gap(one.traced, one.measured))
    return (name, _bytes(one.computed), _bytes(one.traced), _bytes(one.measured), *gaps)


def _bytes(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _gap(value: int | None, measured: int) -> str:
    return "-" if value is None or not measured else f"{(value - measured) / measured:+.3%}"


def _needed(one: Planned) -> str:
    return "not computed" if one.job.bytes is None else display_bytes(one.job.bytes[1], "binary")


def _ends(ends: Sequence[int]) -> str:
    low, high = (display_bytes(end, "binary") for end in ends)
    return low if low == high else f"{low} to {high}"
