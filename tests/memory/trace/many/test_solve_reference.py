"""The largest batch and sequence that fit, against traces of every value around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.many.test_layers_reference import facts
from toolkit.memory.allocator.card import FITS
from toolkit.memory.trace.many.solve import solve
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

FULL = {"method": "full", "weights": "bf16", "sequence_length": 256}
LORA = {
    "method": "lora", "weights": "bf16", "amp": True, "gradients": "fp32", "optimizer_states": "fp32",
    "lora": Lora(8, 16, ("q_proj", "v_proj")), "gradient_checkpointing": "non-reentrant",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "fields"), [("batch_size", FULL), ("sequence_length", LORA)], ids=["batch_size", "sequence_length"]
)
def test_the_largest_fits_whole_and_one_more_does_not(field: str, fields: dict[str, Any]) -> None:
    setting = Setting(**{"model": "Qwen/Qwen2.5-0.5B", **fields})
    model = facts(setting.model)
    heard: list[str] = []
    answer = solve(setting, model, field, "T4", heard.append)
    assert answer.largest is not None
    assert answer.how == "by sizes as functions, and proven by traces"
    for value, fits in ((answer.largest, True), (answer.largest + 1, False)):
        card = trace(replace(setting, **{field: value, "gpu": "T4"}), model, whole=True).card
        assert card is not None
        assert (card.verdict == FITS) is fits
    assert answer.beyond is not None
    assert answer.beyond.needed is not None
    assert len([said for said in heard if said.startswith(f"tracing {field}")]) <= 4


def test_what_never_fits_is_said() -> None:
    setting = Setting("Qwen/Qwen2.5-7B", **{**FULL, "optimizer_states": "bf16"})
    answer = solve(setting, facts(setting.model), "batch_size", "T4")
    assert answer.largest is None
    assert answer.beyond is not None
    assert "does not fit on T4" in answer.beyond.text()
