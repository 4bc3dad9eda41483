"""DistributedDataParallel on one of several GPUs: what its reducer holds, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.many.layers import whole_run
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting

pytestmark = pytest.mark.reference

NAME = "Qwen/Qwen2.5-0.5B"
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
FULL = Setting(NAME, "full", "bf16", batch_size=2, sequence_length=256, parallel=Parallel(4, "ddp"))
LORA = replace(FULL, method="lora", lora=Lora(8), gradient_checkpointing="non-reentrant", **MIXED)
ACCUMULATED = replace(FULL, gradient_accumulation=4)
ELEMENTS = 151_936 * 896 + 896
"""Of the embedding, which the head shares, and of the last norm."""
LAYER = 2 * 896 * 896 + 2 * 896 * 128 + 896 + 2 * 128 + 3 * 896 * 4864 + 2 * 896
TRAINED = {"full": 2 * (ELEMENTS + 3 * LAYER), "lora": 4 * 3 * 8 * (4 * 896 + 2 * (896 + 128) + 3 * (896 + 4864))}


def buckets(setting: Setting) -> list[int]:
    """The flat buffers of the last step: what the first pass made is replaced."""
    run = whole_run(setting, cut(NAME, 3))
    timeline = run.timeline
    lasting = timeline.alive(timeline.marks[-1][0])
    gradients = (timeline.allocations[index] for index in lasting if run.kinds.get(index) is Category.GRADIENTS)
    return [one.bytes for one in gradients if one.operation == "aten::empty.memory_format"]


@pytest.mark.parametrize("setting", [FULL, ACCUMULATED, LORA], ids=["full", "accumulated", "lora"])
def test_every_trained_parameter_has_a_place_in_a_bucket(setting: Setting) -> None:
    assert sum(buckets(setting)) == TRAINED[setting.method]


def test_buckets_are_beside_what_one_gpu_holds() -> None:
    found, alone = (trace(one, cut(NAME, 3)) for one in (FULL, replace(FULL, parallel=Parallel())))
    assert found.how == "every layer"
    for phase in alone.ledger.phases[1:]:
        together = found.ledger.phase(phase.name)
        assert together is not None
        assert together.total - phase.total == pytest.approx(TRAINED["full"], rel=0.002)


@pytest.mark.parametrize("setting", [FULL, LORA], ids=["full", "lora"])
def test_formulas_have_the_same_buckets(setting: Setting) -> None:
    model = cut(NAME, 3)
    seen, computed = trace(setting, model).ledger, estimate(setting, model).ledger
    for phase in seen.phases:
        other: Any = computed.phase(phase.name)
        assert as_traced(other) == pytest.approx(phase.total, rel=0.0005), phase.name


def test_places_are_named_as_on_one_gpu() -> None:
    step = trace(FULL, cut(NAME, 1)).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    rows = step.rows
    assert "model.layers.*.mlp.up_proj" in {row.name for row in rows if row.category is Category.GRADIENTS}
    assert not any(row.name.startswith("module") for row in rows)
