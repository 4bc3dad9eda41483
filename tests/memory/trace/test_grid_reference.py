"""Formulas against traces over a grid: models, methods, dtypes, checkpointing, sizes, optimizers and attention.

Every model stands with every method once, the rest drawn for each; a gap prints both ledgers, category by category.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

import transformers

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.trace.many.campaign import Job, traced
from toolkit.report.trace_formulas import beside_text
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0006, 0.005

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
ADAPTERS = {"lora": Lora(8, 16, "all-linear", 0.05), **MIXED}
MODELS = (
    "Qwen/Qwen2.5-0.5B", "meta-llama/Llama-3.2-1B", "google/gemma-2-2b", "google/gemma-3-270m",
    "openai-community/gpt2", "EleutherAI/pythia-70m", "microsoft/phi-2", "mistralai/Mistral-7B-v0.1",
    "Qwen/Qwen3-0.6B", "facebook/opt-125m", "bigscience/bloom-560m", "google/gemma-2b",
)  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "full, autocast": {"method": "full", "weights": "fp32", **MIXED},
    "full, 16 bit": {"method": "full", "weights": "bf16"},
    "full, 32 bit": {
        "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    },
    "lora": {"method": "lora", "weights": "bf16", **ADAPTERS},
    "lora, fp16": {"method": "lora", "weights": "fp16", "compute": "fp16", **ADAPTERS},
    "lora, 8 bit": {"method": "lora", "weights": "int8", **ADAPTERS},
    "qlora": {"method": "qlora", "weights": "nf4", "double_quant": True, **ADAPTERS},
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 3},
    "inference, 4 bit": {"method": "inference", "weights": "nf4", "generated_length": 3},
}  # fmt: skip
CHECKPOINTING = ("false", "reentrant", "non-reentrant")
OPTIMIZERS: tuple[dict[str, str], ...] = (
    {"optimizer": "adamw", "optimizer_implementation": "fused"},
    {"optimizer": "adamw", "optimizer_implementation": "foreach"},
    {"optimizer": "sgd", "optimizer_implementation": "foreach"},
    {"optimizer": "adafactor"},
    {"optimizer": "adamw_8bit", "optimizer_states": "int8"},
    {"optimizer": "lion", "optimizer_states": "fp32"},
    {"optimizer": "paged_adamw_8bit", "optimizer_states": "int8"},
)
LAYERS = {"google/gemma-3-270m": 6}
"""Of its layers only the sixth attends to everything; a mask for such layers is made in any case."""
SIZES = ((1, 64), (3, 512), (2, 1024), (5, 264))


def grid() -> Iterator[tuple[str, Setting]]:
    drawn = Random(7)
    for model in MODELS:
        for name, fields in METHODS.items():
            batch, length = drawn.choice(SIZES)
            attention = drawn.choice(("sdpa", "eager"))
            if fields.get("compute") == "fp32":
                attention = "eager"  # see the last test
            chosen: dict[str, Any] = {"attention": attention, "batch_size": batch, "sequence_length": length}
            if fields["method"] == "inference":
                chosen["optimizer"] = "none"
            else:
                chosen |= {"gradient_checkpointing": drawn.choice(CHECKPOINTING), **drawn.choice(OPTIMIZERS)}
            said = " ".join(str(part) for part in (name, *chosen.values()))
            yield f"{model}: {said}", Setting(**{"model": model, **fields, **chosen})


CASES = list(grid())
QUICK = frozenset(case for case, _ in CASES[:: len(METHODS) + 1])


@pytest.mark.parametrize(
    "setting",
    [pytest.param(one, id=case, marks=() if case in QUICK else pytest.mark.slow) for case, one in CASES],
)
def test_formulas_and_traces_agree(setting: Setting) -> None:
    _agree(setting)


def test_float32_under_sdpa_agrees() -> None:
    """Grouped heads in float32 attend by no fused kernel: scores are written out (torch, cuda/sdp_utils.cpp)."""
    _agree(Setting("Qwen/Qwen3-0.6B", **METHODS["full, 32 bit"], batch_size=3, sequence_length=512))


def _agree(setting: Setting) -> None:
    model = cut(setting.model, LAYERS.get(setting.model, 2))
    [result] = traced([Job("grid", setting, model, whole=True)], 1, lambda _: None)
    assert result.record is not None, result.reason
    installed = Stack(setting.stack.trainer, versions={"transformers": transformers.__version__})
    computed = estimate(replace(setting, stack=installed), model).ledger
    for phase in result.record.phases:
        [other] = [one for one in computed.phases if one.name.value == phase["phase"]]
        allowed = PEAK if phase["phase"] == result.record.peak["phase"] else ELSEWHERE
        assert as_traced(other) == pytest.approx(phase["total"], rel=allowed), "\n" + beside_text(
            result.record, computed
        )


def test_every_value_of_the_grid_is_drawn() -> None:
    settings = [setting for _, setting in CASES]
    assert {setting.gradient_checkpointing for setting in settings} == set(CHECKPOINTING)
    assert {(setting.batch_size, setting.sequence_length) for setting in settings} == set(SIZES)
    assert {setting.attention for setting in settings} == {"sdpa", "eager"}
    assert {setting.optimizer for setting in settings if setting.trains} == {one["optimizer"] for one in OPTIMIZERS}
