"""Estimates against traces of the first Qwen, whose layers are code beside its weights, not of transformers.

The records are of three layers of modeling_qwen.py (Qwen/Qwen-1_8B, as of transformers 4.37.2), run on tensors without
storage as those of test_traced.py are. The code's own loss shifts its logits: the formula has a copy of all positions,
the code one of all but the last, which is the gap.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.settings import facts_of, name_of, records, setting_of
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName

FORWARD_TOLERANCE = 0.001
TOLERANCE = 0.0025

PHASES = {
    PhaseName.FORWARD_END: FORWARD_TOLERANCE,
    PhaseName.BACKWARD: TOLERANCE,
    PhaseName.OPTIMIZER_STEP: FORWARD_TOLERANCE,
}


@pytest.mark.parametrize("record", records("traced_qwen1"), ids=name_of)
def test_every_phase_is_that_of_the_trace(record: dict[str, Any]) -> None:
    ledger = estimate(setting_of(record), facts_of(record)).ledger
    for name, tolerance in PHASES.items():
        phase = ledger.phase(name)
        assert phase is not None
        assert as_traced(phase) - phase.of(Category.WORKSPACE) == pytest.approx(record[name], rel=tolerance), name
