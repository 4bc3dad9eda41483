"""What a GPU reserves that has a part of a model's layers, against what a trace of its code replays to."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.timeline.one_gpu import each_gpu
from toolkit.memory.timeline.stream import settled
from toolkit.memory.trace.run import run
from toolkit.spec.settings.setting import Lora, Parallel, Setting

pytestmark = pytest.mark.reference

FULL = Setting(
    "Qwen/Qwen3-8B",
    "full",
    "bf16",
    batch_size=2,
    sequence_length=512,
    attention="sdpa",
    parallel=Parallel(2, "pipeline"),
)
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
LORA = replace(FULL, method="lora", lora=Lora(16, targets=("q_proj", "v_proj")), **MIXED)
QLORA = replace(LORA, model="meta-llama/Llama-2-7b-hf", method="qlora", weights="nf4")


@pytest.mark.parametrize(
    ("setting", "widest"),
    [(FULL, 0.2), (LORA, 0.1), (replace(QLORA, gradient_checkpointing="non-reentrant"), 0.25)],
    ids=["full", "lora", "qlora"],
)
def test_each_gpu_reserves_what_its_trace_does(setting: Setting, widest: float) -> None:
    model = cut(setting.model, 6)
    for seen, part in zip(each_gpu(run(setting, model)), estimate(setting, model).each, strict=True):
        traced = settled(seen, PhaseName.LOAD).timeline.replay(PhaseName.LOAD, warm=True).reserved
        low, high = replayed(part)
        assert low <= traced <= high
        assert high - low <= widest * traced


GENERATES = replace(
    FULL, method="inference", batch_size=4, sequence_length=900, generated_length=20, parallel=Parallel(2, "pipeline")
)


@pytest.mark.parametrize(
    "setting",
    [
        replace(GENERATES, model="microsoft/Phi-3-mini-4k-instruct", attention="flash"),
        replace(GENERATES, model="meta-llama/Llama-2-7b-hf", weights="nf4"),
        replace(GENERATES, batch_size=2, sequence_length=3000, generated_length=1),
    ],
    ids=["many tokens", "packed", "a prompt"],
)
def test_each_gpu_reserves_what_its_trace_does_while_it_generates(setting: Setting) -> None:
    """However the model is loaded. Of a prompt of 3,000 tokens the bounds, which know no fragments, are too low."""
    model = cut(setting.model, 6)
    for seen, part in zip(each_gpu(run(setting, model)), estimate(setting, model).each, strict=True):
        timeline = settled(seen, PhaseName.LOAD).timeline
        traced = [timeline.replay(PhaseName.LOAD, warm=warm).reserved for warm in (False, True)]
        low, high = replayed(part)
        assert low <= min(traced)
        assert max(traced) <= high
        assert high - low <= 0.3 * max(traced)
        if setting.generated_length == 1:
            assert max(traced) > part.reserved[1]
