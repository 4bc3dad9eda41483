"""A rank of FSDP2 on tensors without storage is what a rank of real processes asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.parallel.plans import skip_without_plans
from tests.memory.trace.cut import cut
from tests.memory.trace.real_run import real_peaks_of_first_rank
from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import Trace, trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

NEAR = 0.001
"""Blocks are rounded to 512 bytes on a GPU, and a model's small tensors are thousands of bytes."""
SMALL = {"vocab_size": 2048, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
QWEN = "Qwen/Qwen2.5-0.5B"
PLAIN: dict[str, Any] = {
    "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    "optimizer": "sgd", "optimizer_implementation": "for-loop", "attention": "eager",
    "batch_size": 2, "sequence_length": 64, "stack": Stack(trainer="plain"),
}  # fmt: skip


def shared(gpus: int, strategy: str = "fsdp2", **fields: Any) -> Setting:
    return Setting(QWEN, parallel=Parallel(gpus, strategy), **{**PLAIN, **fields})


def small(*, tied: bool) -> ModelFacts:
    return model_from_config({**cut(QWEN, 4).config, **SMALL, "tie_word_embeddings": tied}, QWEN)


def held(found: Trace, phase: PhaseName) -> int:
    seen = found.ledger.phase(phase)
    assert seen is not None
    return seen.total - seen.of(Category.WORKSPACE)


CASES = {
    "full": shared(2),
    "three ranks": shared(3),
    "checkpointed": shared(2, gradient_checkpointing="non-reentrant"),
    "lora": shared(2, method="lora", lora=Lora(8, 8)),
    "tensor": shared(2, "tensor"),
}
QUICK = ("lora", "tensor")


@pytest.mark.parametrize(
    "setting",
    [pytest.param(one, id=case, marks=() if case in QUICK else pytest.mark.slow) for case, one in CASES.items()],
)
def test_a_rank_is_what_a_rank_of_real_processes_asks_for(setting: Setting, tmp_path: Path) -> None:
    if setting.parallel.strategy == "tensor":
        skip_without_plans()
    facts = small(tied=setting.parallel.strategy != "tensor")  # transformers ties a split model when it has loaded it
    real = real_peaks_of_first_rank(setting, facts, tmp_path / "store")
    found = trace(setting, facts)
    back = max(held(found, PhaseName.BACKWARD), held(found, PhaseName.OPTIMIZER_STEP))
    assert held(found, PhaseName.FORWARD_END) == pytest.approx(real.forward, rel=NEAR)
    assert back == pytest.approx(real.backward, rel=NEAR)


@pytest.mark.parametrize("gpus", [2, 4])
def test_weights_of_a_split_model_by_hand(gpus: int) -> None:
    """Llama 3.1 8B: 8,030,261,248 parameters, of which 65 norms of 4,096 are on each GPU; one table of 64 positions."""
    skip_without_plans()
    name = "meta-llama/Llama-3.1-8B"
    facts = load_model(name)
    assert isinstance(facts, ModelFacts)
    fields: dict[str, Any] = {"weights": "bf16", "optimizer": "none", "sequence_length": 512, "generated_length": 2}
    split = trace(Setting(name, "inference", parallel=Parallel(gpus, "tensor"), **fields), facts)
    loaded = split.ledger.phase(PhaseName.LOAD)
    assert loaded is not None
    norms = 65 * 4096
    assert loaded.of(Category.WEIGHTS) == pytest.approx(2 * ((8_030_261_248 - norms) // gpus + norms), abs=1024)
    keys_and_values = 2 * 32 * 512 * (8 // gpus) * 128 * 2
    assert split.ledger.phase(PhaseName.PREFILL).of(Category.KV_CACHE) == keys_and_values


def test_a_full_fine_tuning_of_405_billion_parameters_on_64_gpus() -> None:
    """Accelerate keeps trained parameters, their gradients and both states in float32: 16 bytes, a 64th on each GPU."""
    name = "meta-llama/Llama-3.1-405B"
    facts = load_model(name)
    assert isinstance(facts, ModelFacts)
    fields: dict[str, Any] = {"weights": "bf16", "compute": "bf16", "amp": True, "gradient_checkpointing": "reentrant"}
    step = trace(Setting(name, "full", parallel=Parallel(64, "fsdp2"), **fields), facts).ledger
    held_by_all = sum(
        step.phase(PhaseName.OPTIMIZER_STEP).of(kind)
        for kind in (Category.WEIGHTS, Category.GRADIENTS, Category.OPTIMIZER_STATES)
    )
    assert held_by_all == pytest.approx(405_853_388_800 * 16 / 64, rel=NEAR)
