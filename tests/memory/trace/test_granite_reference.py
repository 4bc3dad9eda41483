"""Granite, dense and with experts: formulas against traces, with every method."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from tests.memory.trace.methods import METHODS
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

DENSE, EXPERTS = "ibm-granite/granite-4.1-3b", "ibm-granite/granite-3.1-1b-a400m-instruct"


@pytest.mark.parametrize("fields", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", [DENSE, EXPERTS])
def test_a_formula_gives_what_the_trace_sees(name: str, fields: dict[str, Any]) -> None:
    agree(
        Setting(**{"model": name, "batch_size": 2, "sequence_length": 512, **fields}), 2, peak=0.0007, elsewhere=0.003
    )


def test_the_factors_are_no_parameters() -> None:
    """All that LLaMA of these shapes has, and no more: what moves is what a pass needs."""
    granite = cut(DENSE, 2)
    llama = model_from_config({**granite.config, "model_type": "llama"}, "llama")
    setting = Setting(DENSE, "full", "bf16", batch_size=2, sequence_length=512)
    one, other = estimate(setting, granite), estimate(setting, llama)
    assert one.parameters_total == other.parameters_total == 100352 * 2560 + 2 * _layer() + 2560
    assert one.steady == other.steady


def _layer() -> int:
    """Two of 40 x 64 heads and two of 8 x 64, three of 8,192, two norms."""
    return 2 * 2560 * 2560 + 2 * 2560 * 512 + 3 * 2560 * 8192 + 2 * 2560


def test_older_experts_are_refused_by_name() -> None:
    stack = Stack("transformers", versions={"transformers": "4.45.2"})
    setting = Setting(model=EXPERTS, method="full", weights="bf16", stack=stack)
    with pytest.raises(UnsupportedRow, match=r"Granite's experts of transformers before 5\.14"):
        estimate(setting, cut(EXPERTS, 2))
