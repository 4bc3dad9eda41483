"""How long an estimate takes, what the caching allocator reserves for it, and the table of all published readings.

Run by `make bench`; the bounds hold on an ordinary machine and are checked there only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.replay.reserved import replayed
from toolkit.spec.settings.setting import Lora, Parallel, Setting

REPOSITORY = Path(__file__).parents[2]
MODEL = "mistralai/Mistral-7B-v0.1"
ESTIMATE_SECONDS = 0.001
REPLAY_SECONDS = 0.5
"""A replay is asked for by what is reserved or shown by a card, and by nothing else of an estimate."""
QUESTION_SECONDS = 5.0
TABLE_SECONDS = 10.0
"""Of the readings that the bound was set for; the sources that came later are timed without one.

With numba (the extra `fast`), by two cores or more.
"""
FIRST = 2_985
PUBLISHED = REPOSITORY / "specs" / "published"
FIRST_SOURCES = frozenset({
    "axolotl_examples", "deepseek_llm", "deepspeed_blogs", "exllama", "flagperf", "fms_acceleration", "fsdp_qlora",
    "gptq_for_llama", "llm_d_planner_vllm", "milabench_scaling", "optimum_gptq_benchmark", "peft_metamathqa",
    "qwen1_readme", "qwen_speed_docs", "qwen_vl", "rwkv_peft", "torchtitan",
})  # fmt: skip

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32", "gradient_checkpointing": "reentrant"}
FORMS: dict[str, dict[str, Any]] = {
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 64},
    "full": {"method": "full", "weights": "bf16"},
    "lora": {"method": "lora", "weights": "bf16", "lora": Lora(16, 32), **MIXED},
    "qlora": {"method": "qlora", "weights": "nf4", "lora": Lora(16, 32), **MIXED},
    "fsdp": {"method": "lora", "weights": "bf16", "lora": Lora(16, 32), **MIXED, "parallel": Parallel(2, "fsdp")},
}


def _always_new(fields: dict[str, Any]) -> Callable[[], Estimate]:
    """An estimate of a setting that was not asked for before: only what is of its model is known."""
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    setting, lengths = Setting(MODEL, batch_size=2, sequence_length=512, **fields), count(513)
    estimate(setting, facts)
    return lambda: estimate(replace(setting, sequence_length=next(lengths)), facts)


@pytest.mark.benchmark(group="estimate")
@pytest.mark.parametrize("fields", FORMS.values(), ids=FORMS)
def test_an_estimate(benchmark: BenchmarkFixture, fields: dict[str, Any]) -> None:
    benchmark.pedantic(_always_new(fields), rounds=100, warmup_rounds=5)
    assert benchmark.stats["median"] < ESTIMATE_SECONDS


@pytest.mark.benchmark(group="estimate")
@pytest.mark.parametrize("fields", FORMS.values(), ids=FORMS)
def test_what_is_reserved_for_an_estimate(benchmark: BenchmarkFixture, fields: dict[str, Any]) -> None:
    estimated = _always_new(fields)
    benchmark.pedantic(lambda: replayed(estimated()), rounds=5, warmup_rounds=1)
    assert benchmark.stats["min"] < REPLAY_SECONDS


@pytest.mark.benchmark(group="estimate")
def test_a_question_that_leaves_much_open(benchmark: BenchmarkFixture) -> None:
    """Cold, as typed: imports, 96 settings, what the least and the largest of them reserve, and the fit on each GPU."""
    said = ["--model", "Qwen/Qwen2.5-Coder-7B", "--method", "qlora", "--weights", "nf4", "--sequence-length", "512"]
    command = [sys.executable, "-m", "toolkit", "estimate", *said, "--batch-size", "1..4", "--gpu", "RTX 4090"]
    benchmark.pedantic(lambda: subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True), rounds=3)
    assert benchmark.stats["min"] < QUESTION_SECONDS


@pytest.mark.benchmark(group="accuracy")
@pytest.mark.parametrize("later", [False, True], ids=["the first 2,985 readings", "all"])
def test_the_table_of_published_readings(benchmark: BenchmarkFixture, tmp_path: Path, *, later: bool) -> None:
    """Cold: imports, reading the readings, every estimate and every replay, and writing the table."""
    table = tmp_path / "table.json"
    folders = [path for path in sorted(PUBLISHED.iterdir()) if path.is_dir() and (later or path.name in FIRST_SOURCES)]
    command = [sys.executable, "-m", "toolkit", "accuracy", *map(str, folders), "--format", "json", "-o", str(table)]
    benchmark.pedantic(lambda: subprocess.run(command, cwd=REPOSITORY, check=True), rounds=2)
    counted = json.loads(table.read_text())["counts"]["readings"]
    assert counted > FIRST if later else counted == FIRST
    if not later:
        assert benchmark.stats["min"] < TABLE_SECONDS
