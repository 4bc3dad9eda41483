"""Text through models that read images: formulas against traces, with every method and both kernels."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.architecture.samples import small_config
from tests.memory.architecture.vision_samples import VISION
from tests.memory.trace.agree import agree_on
from tests.memory.trace.test_dense_families_reference import METHODS
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import architecture_of
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0018, 0.003
"""So small a model's tables of angles are up to 0.1 % of a prompt."""
NO_PASS = frozenset({"paligemma"})
"""Whose masks depend on which tokens are a prefix."""

FOLLOWED = [family for family in VISION if family not in NO_PASS]
CASES = [(family, method) for family in FOLLOWED for method in METHODS]
QUICK = frozenset(CASES[:: len(METHODS) - 1])


@pytest.mark.parametrize(
    ("family", "method"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_a_formula_gives_what_the_trace_sees(family: str, method: str) -> None:
    fields: dict[str, Any] = METHODS[method]
    model = model_from_config(small_config(family), family)
    setting = Setting(**{"model": family, "batch_size": 2, "sequence_length": 512, **fields})
    agree_on(setting, model, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("family", sorted(NO_PASS))
def test_a_pass_that_no_formula_follows_is_refused_by_name(family: str) -> None:
    model = model_from_config(small_config(family), family)
    with pytest.raises(UnsupportedRow, match=f"no formula for the layers of {family} yet"):
        estimate(Setting(family, "full", "bf16"), model)


def test_towers_are_held_and_get_no_gradients_from_text() -> None:
    model = model_from_config(small_config("mistral3"), "mistral3")
    architecture = architecture_of(model)
    tower = sum(m.elements for m in architecture.modules if ".vision_tower." in m.path or "projector" in m.path)
    ledger = estimate(Setting("mistral3", "full", "bf16", batch_size=1, sequence_length=8), model).ledger
    row = {row.name: row.bytes for phase in ledger.phases for row in phase.rows}
    assert tower > 0
    assert row["weights"] == 2 * architecture.parameters
    assert row["optimizer_states"] == 2 * 2 * (architecture.parameters - tower)
