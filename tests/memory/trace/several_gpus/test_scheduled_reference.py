"""A pipeline that torch schedules: each stage's formula against what torch.distributed.pipelining does on its rank."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.timeline.stream import Run, settled
from toolkit.memory.trace.ledger import ledger_of
from toolkit.memory.trace.run import run
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.settings.setting import Parallel, Setting, Stack

pytestmark = pytest.mark.reference

LLAMA, QWEN = "meta-llama/Llama-2-7b-hf", "Qwen/Qwen3-8B"
LOGITS = Stack("plain", loss="from-logits")
WIDE: dict[str, Any] = {"weights": "fp32", "gradients": "fp32", "optimizer_states": "fp32"}
AGAIN: dict[str, Any] = {"gradient_checkpointing": "non-reentrant"}


UNEVEN = Parallel(3, "pipeline", schedule="1f1b", returns_outputs=False, stage_layers=(1, 3, 1))


def scheduled(schedule: str, gpus: int, micro_batches: int, *, returns: bool = False, **more: Any) -> Setting:
    """Full training in 16 bit by a loop of its own, whose micro-batches are one sequence of 512 tokens."""
    setting = Setting(
        LLAMA, "full", "bf16", batch_size=1, sequence_length=512, attention="sdpa", stack=LOGITS,
        gradient_accumulation=micro_batches,
        parallel=Parallel(gpus, "pipeline", schedule=schedule, returns_outputs=returns),
    )  # fmt: skip
    return replace(setting, **more)


CASES = {
    "1f1b": (scheduled("1f1b", 2, 4), 4),
    "as many micro-batches as stages": (scheduled("1f1b", 4, 4), 4),
    "four stages": (scheduled("1f1b", 4, 6), 8),
    "gpipe": (scheduled("gpipe", 3, 4), 6),
    "fewer layers at the ends": (scheduled("1f1b", 3, 4, parallel=UNEVEN), 5),
    "one layer a stage": (scheduled("gpipe", 4, 3), 4),
    "one micro-batch": (scheduled("gpipe", 2, 1), 4),
    "results that are returned": (scheduled("1f1b", 2, 4, returns=True), 4),
    "results of gpipe": (scheduled("gpipe", 2, 3, returns=True), 4),
    "checkpoints": (scheduled("1f1b", 3, 5, **AGAIN), 9),
    "older checkpoints": (scheduled("gpipe", 2, 4, gradient_checkpointing="reentrant"), 6),
    "fp32": (scheduled("gpipe", 3, 3, **WIDE), 6),
    "masks": (scheduled("1f1b", 3, 4, attention="eager"), 6),
    "transformers' own loss": (scheduled("1f1b", 3, 4, model=QWEN, batch_size=2, stack=Stack("plain")), 6),
    "experts": (scheduled("1f1b", 2, 2, model="mistralai/Mixtral-8x7B-v0.1"), 2),
    "layers of two kinds": (scheduled("1f1b", 2, 3, model="deepseek-ai/DeepSeek-V2-Lite"), 6),
    "windows": (scheduled("gpipe", 2, 3, model="allenai/Olmo-3-1025-7B"), 8),
}


@cache
def stages_of(name: str) -> list[tuple[Estimate, Run]]:
    """Each stage's estimate, and what torch's code was seen to do on its rank."""
    setting, layers = CASES[name]
    facts = cut(setting.model, layers)
    return [
        (part, settled(run(setting, facts, rank), PhaseName.LOAD))
        for rank, part in enumerate(estimate(setting, facts).each)
    ]


@pytest.mark.parametrize("name", CASES)
def test_each_stage_trains_as_its_formula_says(name: str) -> None:
    for part, seen in stages_of(name):
        for phase in ledger_of(seen.timeline, seen.kinds).phases:
            computed = part.ledger.phase(phase.name)
            assert computed is not None
            assert as_traced(computed) == pytest.approx(phase.total, rel=0.0005), (name, part.stage, phase.name)


def test_the_stage_that_needs_most_is_traced() -> None:
    setting = scheduled("1f1b", 2, 4)
    facts = cut(setting.model, 4)
    seen = trace(setting, facts)
    assert "on GPU 1 of 2, which needs most" in seen.how
    assert seen.ledger.peak.total == pytest.approx(estimate(setting, facts).allocated, rel=0.0005)


def test_a_tied_output_weight_is_refused() -> None:
    setting = scheduled("1f1b", 2, 2, model="Qwen/Qwen3-0.6B")
    with pytest.raises(UnsupportedTrace, match="lies on two stages"):
        trace(setting, cut(setting.model, 4))


EXPERTS = ("experts", "layers of two kinds")
"""Which experts get how many tokens is not known: their tensors have other sizes."""
HELD = [name for name in CASES if name not in EXPERTS]


@pytest.mark.parametrize("name", HELD)
def test_each_stage_reserves_what_its_order_of_events_does(name: str) -> None:
    for part, seen in stages_of(name):
        low, high = replayed(part)
        for warm in (False, True):
            traced = seen.timeline.replay(PhaseName.LOAD, warm=warm).reserved
            assert low <= traced <= high, (name, part.stage)
        returns = part.setting.parallel.returns_outputs and part.stage is not None and part.stage.projects
        assert returns or (high - low) / (high + low) <= 0.07, (name, part.stage)
