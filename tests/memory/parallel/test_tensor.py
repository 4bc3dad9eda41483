"""Layers split over GPUs, by hand from the shapes of Qwen3 32B and Llama 3.1 8B, and from a published reading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.parallel.plans import skip_without_plans
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.parallel.tensor import BY_INPUTS, BY_OUTPUTS, FAMILIES
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Parallel, Setting, Stack

QWEN = Setting(
    "Qwen/Qwen3-32B",
    "inference",
    "bf16",
    gpu="H100",
    engine={"max_model_len": 16000, "gpu_memory_utilization": 0.9},
    parallel=Parallel(2, "tensor"),
    stack=Stack("vllm"),
)
LLAMA = Setting(
    "meta-llama/Llama-3.1-8B-Instruct", "inference", "bf16", gpu="H100", sequence_length=1024, generated_length=64
)

NORMS = 64 * (2 * 5120 + 2 * 128) + 5120
"""Qwen3 32B: two norms of a layer, those of queries and keys, and the last."""
MATRICES = 32_762_123_264 - NORMS


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def row(setting: Setting, phase: PhaseName, name: str) -> int:
    found = of(setting).ledger.phase(phase)
    assert found is not None
    return next((row.bytes for row in found.rows if row.name == name), 0)


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_vllm_cuts_matrices_and_repeats_norms(gpus: int) -> None:
    setting = replace(QWEN, parallel=Parallel(gpus, "tensor"))
    assert row(setting, PhaseName.LOAD, "weights") == 2 * (MATRICES // gpus + NORMS)


def test_vllm_gives_every_gpu_a_key_value_head() -> None:
    """Eight key-value heads on 16 GPUs: each has one, as on 8, and half of the rest."""
    keys = 64 * 2 * 5120 * 128  # of k and v in all layers, one head each
    on_8, on_16 = (row(replace(QWEN, parallel=Parallel(gpus, "tensor")), PhaseName.LOAD, "weights") for gpus in (8, 16))
    assert on_16 - 2 * NORMS - 2 * keys == (on_8 - 2 * NORMS - 2 * keys) // 2
    cache = [
        row(replace(QWEN, parallel=Parallel(gpus, "tensor")), PhaseName.SERVE, "kv_cache_of_one_sequence")
        for gpus in (2, 8, 16)
    ]
    assert cache == [64 * 16000 * 4 * 256 * 2, 64 * 16000 * 256 * 2, 64 * 16000 * 256 * 2]


def test_weights_of_a_gpu_are_what_vllm_said() -> None:
    """llm-d-incubation/llm-d-planner, docs/empirical-vllm-memory-results.md, commit e50305af: 30.59 GiB a GPU."""
    found = of(QWEN).ledger.phase(PhaseName.LOAD)
    assert found is not None
    assert found.of(Category.WEIGHTS) == pytest.approx(30.59 * 2**30, rel=0.005)


def test_transformers_cuts_all_but_norms() -> None:
    """Llama 3.1 8B on 4 GPUs: embedding, output projection and every matrix in four."""
    norms = 65 * 4096
    setting = replace(LLAMA, parallel=Parallel(4, "tensor"))
    assert row(setting, PhaseName.LOAD, "weights") == 2 * (norms + (8_030_261_248 - norms) // 4)
    assert row(setting, PhaseName.DECODE, "kv_cache") == row(LLAMA, PhaseName.DECODE, "kv_cache") // 4
    assert of(setting).parameters_total == 8_030_261_248


def test_activations_inside_of_layers_are_cut_and_the_stream_is_not() -> None:
    alone, split = of(LLAMA), of(replace(LLAMA, parallel=Parallel(2, "tensor")))
    before, after = alone.ledger.phase(PhaseName.PREFILL), split.ledger.phase(PhaseName.PREFILL)
    assert before is not None
    assert after is not None
    assert after.of(Category.KV_CACHE) == before.of(Category.KV_CACHE) // 2
    stream = {row.name: row.bytes for row in after.rows}["residual_stream"]
    assert stream % (2 * 1024 * 4096) == 0


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (replace(LLAMA, parallel=Parallel(16, "tensor")), "8 key-value heads cannot be split over 16"),
        (replace(LLAMA, parallel=Parallel(3, "tensor")), "32 query heads cannot be split over 3"),
        (replace(LLAMA, model="openai/gpt-oss-20b", parallel=Parallel(2, "tensor")), "gpt_oss is split"),
        (
            replace(LLAMA, parallel=Parallel(2, "tensor"), stack=Stack(versions={"transformers": "5.20.0"})),
            "before 5.22",
        ),
    ],
)
def test_what_does_not_divide_is_refused(setting: Setting, reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        of(setting)


@pytest.mark.reference
def test_the_plans_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    skip_without_plans()
    whole = {"q_norm", "k_norm"}
    for family in FAMILIES:
        plan = transformers.AutoConfig.for_model(family).base_model_tp_plan
        styles = {path.rpartition(".")[2]: style for path, style in plan.items()}
        assert "embed_tokens" not in styles  # which the model itself adds, by rows
        assert {name for name, style in styles.items() if style == "colwise"} == BY_OUTPUTS
        assert {name for name, style in styles.items() if style == "rowwise"} == BY_INPUTS
        assert styles.keys() - BY_OUTPUTS - BY_INPUTS <= whole


LATENT = Setting(
    "deepseek-ai/DeepSeek-V2-Lite",
    "inference",
    "bf16",
    gpu="H100",
    engine={"max_model_len": 4096},
    stack=Stack("vllm", versions={"vllm": "0.11.0"}),
)
WHOLE = 27 * (576 * 2048 + 512 + 2 * 2048) + 26 * 64 * 2048 + 2048
"""DeepSeek V2 Lite: what makes latents, its norm and two more of each layer, 26 routers, and the last norm."""


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_vllm_cuts_what_goes_into_heads_and_repeats_what_makes_latents(gpus: int) -> None:
    """All of its 15,706,484,224 parameters but those are cut: heads, feed-forwards, experts, vocabulary."""
    setting = replace(LATENT, parallel=Parallel(gpus, "tensor"))
    assert row(setting, PhaseName.LOAD, "weights") == 2 * ((15_706_484_224 - WHOLE) // gpus + WHOLE)


def test_every_gpu_has_the_whole_cache_of_latents() -> None:
    """512 elements and 64 of positions for each token and layer, which all heads read."""
    for parallel in (Parallel(), Parallel(8, "tensor")):
        setting = replace(LATENT, parallel=parallel)
        assert row(setting, PhaseName.SERVE, "kv_cache_of_one_sequence") == 27 * 4096 * 576 * 2


def test_copies_of_quantized_latent_attention_are_refused() -> None:
    with pytest.raises(UnsupportedRow, match="copies that vLLM makes of fp8 weights"):
        of(replace(LATENT, weights="fp8", parallel=Parallel(2, "tensor")))
