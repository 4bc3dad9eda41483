"""Mixtures beside the well-known ones: formulas against traces, with every method and both kernels."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.architecture.routed_samples import ROUTED
from tests.memory.architecture.samples import small_config
from tests.memory.trace.agree import agree_on
from tests.memory.trace.test_dense_families_reference import METHODS as DENSE_METHODS
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.layouts.routed import ROUTED_LAYOUTS
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0018, 0.003
"""So small a model's tables of angles are up to 0.1 % of a prompt."""

WINDOWS = {("exaone_moe", "inference"): 0.0035, ("exaone_moe", "inference, eagerly"): 0.0035}
"""While a model with windows decodes, as of other families with windows."""

EVERYWHERE = Lora(8, 16, "all-linear")
"""Without dropout, which adapters of fused experts cannot have."""

METHODS = {
    name: {**fields, "lora": EVERYWHERE} if "lora" in fields else fields for name, fields in DENSE_METHODS.items()
}
CASES = [(family, method) for family in ROUTED_LAYOUTS for method in METHODS]
QUICK = frozenset(CASES[:: len(METHODS) - 1])


def test_every_family_is_met_quickly() -> None:
    assert {family for family, _ in QUICK} == set(ROUTED_LAYOUTS) == set(ROUTED)


@pytest.mark.parametrize(
    ("family", "method"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_a_formula_gives_what_the_trace_sees(family: str, method: str) -> None:
    fields: dict[str, Any] = METHODS[method]
    model = model_from_config(small_config(family, {"vocab_size": 2000}), family)
    setting = Setting(**{"model": family, "batch_size": 2, "sequence_length": 512, **fields})
    case = (family, method)
    agree_on(setting, model, peak=PEAK, elsewhere=WINDOWS.get(case, ELSEWHERE))


def test_adapters_of_all_linears_with_dropout_are_refused_where_experts_are_fused() -> None:
    model = model_from_config(small_config("dots1"), "dots1")
    setting = Setting("dots1", "lora", "bf16", lora=Lora(8, 16, "all-linear", 0.05))
    with pytest.raises(UnsupportedRow, match="adapters of fused experts cannot have dropout"):
        estimate(setting, model)
