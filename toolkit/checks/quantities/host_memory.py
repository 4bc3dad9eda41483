"""Main memory of a machine, or what a run needs of it: what follows from other printed figures."""

from __future__ import annotations

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.follows import judge_stated
from toolkit.quantity.value import Dimension

REASON = "what a machine has, or a process takes, of main memory is not recorded for this run"


def judge_host_memory(case: Case) -> Outcome:
    """Judges main memory by the figures that the claim's formula names; else it stays unchecked."""
    return judge_stated(case, Dimension.BYTES, "amount of memory", REASON)
