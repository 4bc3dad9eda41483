"""What sums over tokens stage, held against traces: on a card whose multiprocessors are known, and on none."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.reduction import ROW
from toolkit.memory.trace.many.surface import Sizes
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

CLOSE = 0.001
NEAR = 64 << 10
"""What the small gradients beside the peak, which formulas leave out, are rounded up to."""


def _full(model: str, **changes: object) -> Setting:
    plain = Setting(model, "full", "fp32", compute="fp32", gradients="fp32", optimizer="sgd", stack=Stack("plain"))
    return replace(plain, **changes)


BERT = _full(
    "google-bert/bert-base-uncased", head="sequence-classification", labels=2, batch_size=16, sequence_length=103,
    gpu="RTX 3050 6GB Laptop GPU",
)  # fmt: skip
GEMMA = _full(
    "google/gemma-2-2b", weights="bf16", compute="bf16", gradients="bf16", batch_size=4, sequence_length=1024,
    gpu="RTX 4090",
)  # fmt: skip


def _small(setting: Setting) -> ModelFacts:
    facts = cut(setting.model)
    return model_from_config({**facts.config, "vocab_size": 1000}, setting.model)


@pytest.mark.parametrize("setting", [BERT, GEMMA], ids=["biases", "norms"])
def test_formulas_and_traces_stage_alike_at_the_peak(setting: Setting) -> None:
    model, without = _small(setting), replace(setting, gpu=None)
    seen, computed = trace(setting, model, whole=True).ledger.peak, estimate(setting, model).ledger.peak
    assert sum(row.bytes for row in computed.rows if row.name == ROW) > 0
    assert as_traced(computed) == pytest.approx(seen.total, rel=CLOSE)
    plain, alone = trace(without, model, whole=True).ledger.peak, estimate(without, model).ledger.peak
    more = as_traced(computed) - as_traced(alone)
    assert seen.total - plain.total == pytest.approx(more, abs=NEAR)


def test_traces_at_any_size_stage_what_a_trace_of_that_size_does() -> None:
    """Learnt from sizes below and above the first at which sums are staged."""
    setting = replace(BERT, batch_size=2, sequence_length=64)
    found = Sizes(setting, _small(setting)).surface((2, 64), (8, 504)).at((5, 304)).timeline
    whole = trace(replace(setting, batch_size=5, sequence_length=304), _small(setting), whole=True).timeline
    expected = [one.bytes for one in whole.allocations if one.staged is not None]
    assert [one.bytes for one in found.allocations if one.staged is not None] == expected
    assert max(expected) > 0 == min(expected)
