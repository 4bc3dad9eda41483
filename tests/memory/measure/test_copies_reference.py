"""Copies of whole modules as `toolkit measure` has them, with real code on CPU tensors, against a trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.measure.accounting import AccountingDevice
from tests.memory.measure.jobs import LORA, job
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.measure import stopwatch
from toolkit.memory.measure.job import setting_from
from toolkit.memory.measure.outcome import OutcomeKind
from toolkit.memory.measure.run import measure
from toolkit.memory.trace.trace import trace

pytestmark = pytest.mark.reference

COPIED = replace(LORA, targets=("q_proj",), modules_to_save=("embed_tokens", "lm_head"))
FIELDS: dict[str, Any] = {"lora": COPIED, "amp": True, "gradients": "fp32", "optimizer_states": "fp32"}


@pytest.mark.parametrize("weights", ["bf16", "nf4"])
def test_copies_last_as_a_trace_sees_them(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "ROUNDS", 2)
    monkeypatch.setattr(stopwatch, "PATIENCE_S", 1e9)
    method = "qlora" if weights == "nf4" else "lora"
    one = job(**{**FIELDS, "weights": weights, "method": method})
    with AccountingDevice() as accounting:
        found = measure(one, accounting)
    assert found["kind"] is OutcomeKind.MEASURED
    step = trace(one.setting, one.facts).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    for category in (Category.WEIGHTS, Category.ADAPTERS, Category.GRADIENTS, Category.OPTIMIZER_STATES):
        assert found["rows"][category.value]["bytes"] == step.of(category), category


def test_a_job_is_read_back_with_its_copies() -> None:
    plain = {"model": "m", "method": "lora", "weights": "bf16", "lora": {"rank": 8, "targets": ["q_proj"]}}
    assert setting_from(plain).lora is not None
    told = setting_from({**plain, "lora": {"rank": 8, "targets": ["q_proj"], "modules_to_save": ["lm_head"]}})
    assert told.lora is not None
    assert told.lora.modules_to_save == ("lm_head",)
