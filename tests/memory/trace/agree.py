"""Formulas held against a trace, phase by phase."""

from __future__ import annotations

import pytest

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.facts.models import ModelFacts
from toolkit.memory.estimate import estimate
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting


def agree(setting: Setting, layers: int, *, peak: float, elsewhere: float) -> None:
    """The estimate of a model cut to a few layers lies within these shares of its trace: at the peak, and elsewhere."""
    agree_on(setting, cut(setting.model, layers), peak=peak, elsewhere=elsewhere)


def agree_on(setting: Setting, model: ModelFacts, *, peak: float, elsewhere: float) -> None:
    """The same of a model as it is."""
    seen, computed = trace(setting, model, whole=True).ledger, estimate(setting, model).ledger
    for phase in seen.phases:
        other = computed.phase(phase.name)
        assert other is not None
        share = peak if phase is seen.peak else elsewhere
        assert as_traced(other) == pytest.approx(phase.total, rel=share), phase.name
