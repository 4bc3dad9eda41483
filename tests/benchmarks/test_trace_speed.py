"""How long a trace takes once its libraries are imported, and how much memory: a 7B model, and the largest.

Run by `make bench EXTRAS=reference`; the bounds hold on an ordinary machine and are checked there only.
"""

from __future__ import annotations

import resource

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting

SMALL_SECONDS = 5.0
LARGE_SECONDS = 10.0
MOST_MEMORY = 2 * 2**20
"""KiB, as getrusage counts them."""

QLORA = Setting(
    "Qwen/Qwen2.5-7B", "qlora", "nf4", double_quant=True, amp=True, gradients="fp32", optimizer_states="fp32",
    gradient_checkpointing="reentrant", lora=Lora(16, 32),
)  # fmt: skip
FULL = Setting(
    "meta-llama/Llama-3.1-405B", "full", "bf16", amp=True, gradient_checkpointing="reentrant",
    parallel=Parallel(64, "fsdp2"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "seconds"), [(QLORA, SMALL_SECONDS), (FULL, LARGE_SECONDS)], ids=["7B-qlora", "405B-full-on-64"]
)
def test_trace(benchmark: BenchmarkFixture, setting: Setting, seconds: float) -> None:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    found = benchmark.pedantic(trace, (setting, facts), rounds=3, warmup_rounds=1)
    assert found.allocated > 0
    assert benchmark.stats.stats.min < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MOST_MEMORY
