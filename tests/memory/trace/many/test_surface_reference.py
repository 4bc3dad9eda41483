"""One set of traces against full traces of sizes that it was not learnt from: every event, hence every byte."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from toolkit.memory.timeline.sizes import NoFormError, Point
from toolkit.memory.trace.many.layers import same, whole_run
from toolkit.memory.trace.many.surface import Sizes, at_point
from toolkit.memory.trace.many.sweep import swept
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

QWEN, WINDOWED = "Qwen/Qwen2.5-0.5B", "google/gemma-3-270m"
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
LINEAR = Lora(8, 16, "all-linear", 0.05)
FULL = {"method": "full", "weights": "bf16"}
Corner = tuple[Point, Point]
WIDE: Corner = (2, 128), (8, 4096)

CASES: dict[str, tuple[str, dict[str, Any], Corner, list[Point]]] = {
    "full": (QWEN, FULL, WIDE, [(3, 1024), (2, 1536), (3, 1032), (7, 2000)]),
    "full, eager, odd lengths": (QWEN, {**FULL, "attention": "eager"}, ((2, 127), (8, 4097)), [(3, 1023), (5, 2049)]),
    "full, foreach, accumulated": (
        QWEN, {**FULL, "optimizer_implementation": "foreach", "gradient_accumulation": 2}, WIDE, [(4, 1000)],
    ),
    "full, float32": (
        QWEN, {**FULL, "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32"}, WIDE,
        [(3, 1032)],
    ),
    "full, autocast, reentrant": (
        QWEN, {**FULL, "weights": "fp32", "gradient_checkpointing": "reentrant", **MIXED}, WIDE, [(7, 1000)],
    ),
    "qlora, nested, checkpointed": (
        QWEN,
        {
            "method": "qlora", "weights": "nf4", "double_quant": True, "lora": LINEAR,
            "gradient_checkpointing": "non-reentrant", **MIXED,
        },
        WIDE, [(5, 1000)],
    ),
    "lora in 8 bit": (QWEN, {"method": "lora", "weights": "int8", "lora": LINEAR, **MIXED}, WIDE, [(5, 1000)]),
    "one sequence": (QWEN, FULL, ((1, 127), (1, 4097)), [(1, 1023), (1, 3073)]),
    "generation in 4 bit": (
        QWEN, {"method": "inference", "weights": "nf4", "generated_length": 3}, WIDE, [(4, 1000), (5, 136), (8, 3000)],
    ),
    "masks of windows, aligned": (WINDOWED, FULL, ((2, 1024), (8, 4096)), [(3, 2000), (5, 1032)]),
    "masks of windows, padded": (WINDOWED, FULL, ((2, 1025), (8, 4097)), [(3, 2003)]),
    "experts": (
        "openai/gpt-oss-20b", {"method": "inference", "weights": "bf16", "generated_length": 3}, ((2, 256), (8, 4096)),
        [(4, 2000)],
    ),
}  # fmt: skip
QUICK = ("full", "one sequence", "generation in 4 bit", "masks of windows, padded")


@pytest.mark.parametrize(
    ("name", "fields", "ends", "points"),
    [pytest.param(*said, id=case, marks=() if case in QUICK else pytest.mark.slow) for case, said in CASES.items()],
)
def test_a_size_that_was_never_traced_has_every_event_of_its_trace(
    name: str, fields: dict[str, Any], ends: Corner, points: list[Point]
) -> None:
    model = cut(name, 6 if name == WINDOWED else 9)
    setting = Setting(name, **fields)
    surface = Sizes(setting, model).surface(*ends)
    for point in points:
        assert same(surface.at(point), whole_run(at_point(setting, point), model)), point


def test_sizes_at_which_other_operations_run_are_no_part_of_it() -> None:
    """Below its window of 512 tokens the model needs no mask."""
    setting = Setting(WINDOWED, **FULL)
    with pytest.raises(NoFormError, match="other operations run at 8 x 1,024 than at 2 x 128"):
        Sizes(setting, cut(WINDOWED, 6)).surface((2, 128), (8, 1024))


def test_a_sweep_is_a_trace_of_each_of_its_sizes() -> None:
    """Across the window, one sequence and several: parts that are learnt, and sizes that are traced."""
    setting, model = Setting(WINDOWED, **FULL, gpu="T4"), cut(WINDOWED, 2)
    points = [(batch, length) for batch in (1, 2, 5, 8) for length in (64, 256, 500, 520, 1024)]
    heard: list[str] = []
    found = list(swept(setting, model, points, heard.append))
    assert [(one.setting.batch_size, one.setting.sequence_length) for one in found] == sorted(points)
    assert len({one.how for one in found}) > 2
    assert any("batch 8 and length" in said for said in heard)
    for one in found[1::4]:
        whole = trace(one.setting, model, whole=True)
        assert (one.ledger, one.blocks, one.reserved) == (whole.ledger, whole.blocks, whole.reserved)
        assert (one.expandable, one.device, one.card) == (whole.expandable, whole.device, whole.card)
