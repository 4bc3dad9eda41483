"""How much faster one thing is than another: what two printed times give; else shown by measuring both."""

from __future__ import annotations

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.change import judge_change
from toolkit.checks.quantities.follows import judge_stated
from toolkit.quantity.value import Dimension

REASON = "no measurement of the two is on record"


def judge_speed_ratio(case: Case) -> Outcome:
    """Judges a ratio by the times between which the claim says it lies, by its formula, or by measured scenarios.

    `of: duration` with `from` and `to` names the scenarios, `subject: {work: decode}` what is timed.
    """
    if case.claim.of == "duration":
        from toolkit.checks.quantities.measured_speed import judge_measured_speed  # noqa: PLC0415 - few documents claim one

        return judge_measured_speed(case, REASON)
    if case.bound.start is not None:
        return judge_change(case)
    share = case.value(Dimension.RATIO) is None and case.value(Dimension.SHARE) is not None
    return judge_stated(case, Dimension.SHARE if share else Dimension.RATIO, "ratio", REASON)
