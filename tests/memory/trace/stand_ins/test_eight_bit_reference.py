"""LLM.int8(): one layer by hand from bitsandbytes' sources, and models against records made another way."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
bnb = pytest.importorskip("bitsandbytes")

from tests.memory.settings import facts_of, name_of, records, setting_of  # noqa: E402
from tests.memory.trace.cut import cut  # noqa: E402
from toolkit.memory.ledger import Category, PhaseName  # noqa: E402
from toolkit.memory.trace.recorder import Recorder  # noqa: E402
from toolkit.memory.trace.refusal import UnsupportedTrace  # noqa: E402
from toolkit.memory.trace.stand_ins import eight_bit  # noqa: E402
from toolkit.memory.trace.trace import trace  # noqa: E402
from toolkit.spec.settings.setting import Setting  # noqa: E402

pytestmark = pytest.mark.reference

ROWS, WIDTH, OUT = 1024, 2048, 4096
TRACED = (*(phase.value for phase in PhaseName),)
NEAR = 0.0001

RECORDS = [
    record
    for record in (*records("traced_8bit"), *records("traced_inference"))
    if record["setting"]["weights"] == "int8"
    and record["setting"].get("stack", {}).get("trainer") != "trl"
    and (record["setting"].get("amp") or record["setting"]["method"] == "inference")
]
"""The others ran float32 attention through a flash kernel, which has none: torch writes grouped heads' scores out."""


@pytest.mark.parametrize("record", [record for record in RECORDS if "13b" not in record["model"]], ids=name_of)
def test_models_take_what_another_trace_saw(record: dict[str, Any]) -> None:
    found = trace(setting_of(record), facts_of(record))
    for phase in found.ledger.phases:
        if phase.name.value in record:
            taken = phase.total - phase.of(Category.WORKSPACE)
            tolerance = 0.001 if phase.name is PhaseName.OPTIMIZER_STEP else NEAR  # of an adapter's few megabytes
            assert taken == pytest.approx(record[phase.name.value], rel=tolerance), phase.name


def test_a_layer_quantizes_multiplies_and_casts() -> None:
    """backends/cuda/ops.py: input in float16, magnitudes and outliers beside the bytes; then int32 2 x 2 bytes more."""
    with Recorder(0) as recorder, torch.device("meta"), torch.no_grad():
        weight = torch.empty(OUT, WIDTH, dtype=torch.int8)
        state = bnb.MatmulLtState()
        state.threshold, state.has_fp16_weights, state.is_training = 6.0, False, False
        state.CB, state.SCB = weight, torch.empty(OUT)
        x = torch.empty(ROWS, WIDTH, dtype=torch.bfloat16)
        start = len(recorder.timeline.events)
        recorder.timeline.mark("run")
        out = bnb.autograd._functions.MatMul8bitLt.apply(x, weight, None, None, state)
    there = sum(recorder.timeline.allocations[index].counted for index in recorder.timeline.alive(start - 1))
    assert out.dtype is torch.bfloat16
    quantized = ROWS * WIDTH + ROWS * 4
    product = quantized + ROWS * OUT * (4 + 2 + 2)
    magnitudes = quantized + ROWS * WIDTH * (2 + 2 + 1)
    peak = recorder.timeline.peaks()["run"].bytes - there
    assert peak == pytest.approx(max(product, magnitudes), rel=0.005)


def test_stored_weights_take_a_byte_each_and_scales_four() -> None:
    """Qwen2.5-0.5B's layer: 896 wide, 2 key-value heads of 64, 4,864 inside; biases and the embedding in 16 bit."""
    name = "Qwen/Qwen2.5-0.5B"
    load = trace(Setting(name, "inference", "int8"), cut(name, 1)).ledger.phases[0]
    linears = 896 * 896 * 2 + 2 * 896 * 128 + 3 * 896 * 4864
    outputs = 896 * 2 + 2 * 128 + 2 * 4864 + 896
    rest = 151_936 * 896 + 896 + 2 * 128 + 3 * 896
    assert load.total == pytest.approx(linears + 4 * outputs + 2 * rest, rel=NEAR)


def test_releases_without_operators_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bit, "calls_its_library", lambda: True)
    with pytest.raises(UnsupportedTrace, match=r"LLM\.int8\(\) of bitsandbytes before 0\.46\.0"):
        eight_bit.quantize_8bit(torch.nn.Linear(2, 2), torch.float16)
