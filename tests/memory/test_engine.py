"""vLLM's claim on the card: what it shares out, what it needs to start, and which field moves what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.memory.architecture import UnsupportedModel
from toolkit.memory.estimate import Estimate, estimate, holdings
from toolkit.memory.formula.engine.engine import card_of, least_to_start, share_of
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.settings.setting import Lora, Setting, Stack

REFUSALS = (UnsupportedModel, UnsupportedRow)
GIB = 2**30
MIB = 2**20

V011 = Stack("vllm", versions={"vllm": "0.11.0"})
LLAMA = Setting(
    "meta-llama/Llama-3.1-8B-Instruct",
    "inference",
    "bf16",
    gpu="H100 SXM5 80GB",
    stack=V011,
    engine={"gpu_memory_utilization": 0.9, "max_model_len": 16000},
)
SMALL = replace(LLAMA, model="Qwen/Qwen2.5-0.5B-Instruct", gpu="RTX 4090", engine={"gpu_memory_utilization": 0.9})


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def rows(found: Estimate) -> dict[str, int]:
    phase = found.ledger.phase(PhaseName.SERVE)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


@pytest.mark.parametrize(
    ("model", "loaded", "activation", "outside_torch", "available"),
    [
        # Start-up logs of vLLM 0.11.0 on an H100 of 79.18 GiB, utilization 0.9, max_model_len 16000, in GiB:
        # llm-d-incubation/llm-d-planner@e50305af90 docs/empirical-vllm-memory-results.md
        ("meta-llama/Llama-3.1-8B-Instruct", 14.99, 4.76, 0.13, 51.38),
        ("Qwen/Qwen3-0.6B", 1.12, 5.56, 0.13, 64.45),
    ],
)
def test_the_share_is_that_of_published_logs(
    model: str, loaded: float, activation: float, outside_torch: float, available: float
) -> None:
    found = rows(of(replace(LLAMA, model=model)))
    weights = found["weights"] + found["rotary_table"] + found.get("vocabulary_padding", 0)
    assert weights / GIB == pytest.approx(loaded, abs=0.005)
    shared_out = found["profile_run"] + found["kv_cache_of_one_sequence"] + found["engine_pool"]
    # The table's smallest reading of such a card is 79.14 GiB, printed for one of 79.18.
    assert shared_out / GIB == pytest.approx(activation + outside_torch + available, abs=0.05)


def test_the_card_shows_the_share_and_graphs_on_top() -> None:
    """RTX 4090, vLLM 0.5.4, utilization 0.9: nvidia-smi showed 23,859 MiB, and 21,395 MiB with --enforce-eager.

    Source: vllm-project/vllm issue 7553. The share is all of it that follows from the setting: what the profile run
    took is free again while nothing runs.
    """
    old = replace(SMALL, stack=Stack("vllm", versions={"vllm": "0.5.4"}))
    low, high = of(old).device
    assert low <= 23_859 * MIB <= high
    eager = of(replace(old, engine={"gpu_memory_utilization": 0.9, "enforce_eager": True}))
    assert eager.device[0] == pytest.approx(21_395 * MIB, rel=0.02)
    assert eager.device[1] < high
    counted = replace(SMALL, stack=Stack("vllm", versions={"vllm": "0.21.0"}))
    assert of(counted).device == eager.device


def test_what_the_profile_run_took_is_not_on_the_card_after_it() -> None:
    """Mistral 7B on an L4, vLLM 0.6.6.post1, max_model_len 8192: 19.46 GiB after the start, 19.82 after requests.

    Source: NitinDatta8/quantization-benchmarking results/combined_summary.csv; the share is 0.9 of 22 GiB.
    """
    engine = {"gpu_memory_utilization": 0.9, "max_model_len": 8192}
    mistral = replace(
        LLAMA,
        model="mistralai/Mistral-7B-Instruct-v0.3",
        weights="fp16",
        gpu="L4",
        stack=Stack("vllm", versions={"vllm": "0.6.6.post1"}),
        engine=engine,
    )
    found = of(mistral)
    low, high = found.device
    assert low <= 19.46 * GIB < 19.82 * GIB <= high
    assert low == share_of(mistral, card_of(mistral))[0] - rows(found)["profile_run"]


def test_the_rows_are_the_share_whatever_the_model() -> None:
    totals = {of(replace(SMALL, model=f"Qwen/Qwen2.5-{size}-Instruct")).allocated for size in ("0.5B", "1.5B", "3B")}
    assert len(totals) == 1
    assert totals.pop() == pytest.approx(0.9 * 23.505 * GIB, rel=1e-4)


@pytest.mark.parametrize("gpu", ["8 GB", "H100 SXM5 80GB"])
def test_any_model_fills_its_share_or_is_larger_or_refused(gpu: str) -> None:
    served = 0
    for model in MODEL_IDS:
        setting = replace(SMALL, model=model, gpu=gpu)
        try:
            found = of(setting)
        except REFUSALS:
            continue
        served += 1
        low, _ = share_of(setting, card_of(setting))
        assert found.allocated == max(low, least_to_start(found.ledger)), model
    assert served > len(MODEL_IDS) / 2


def test_keys_and_values_of_one_sequence_by_hand() -> None:
    found = rows(of(LLAMA))
    assert found["kv_cache_of_one_sequence"] == 32 * 16000 * 2 * 8 * 128 * 2
    odd = rows(of(replace(LLAMA, engine={**LLAMA.engine, "max_model_len": 15985})))
    assert odd["kv_cache_of_one_sequence"] == found["kv_cache_of_one_sequence"]  # blocks of 16 tokens
    whole = rows(of(replace(LLAMA, engine={"gpu_memory_utilization": 0.9})))
    assert whole["kv_cache_of_one_sequence"] == 32 * 131_072 * 2 * 8 * 128 * 2  # all positions of the config
    small = rows(of(replace(LLAMA, engine={**LLAMA.engine, "kv_cache_dtype": "fp8"})))
    assert small["kv_cache_of_one_sequence"] * 2 == found["kv_cache_of_one_sequence"]


def test_vocabularies_are_padded_to_64_rows() -> None:
    gpt2 = replace(SMALL, model="openai-community/gpt2")
    found = rows(of(gpt2))
    assert found["vocabulary_padding"] == (50_304 - 50_257) * 768 * 2  # tied: once
    assert "rotary_table" not in found
    assert "vocabulary_padding" not in rows(of(SMALL))  # 151,936 is 64 x 2,374


def test_a_sequence_that_is_too_long_leaves_no_pool() -> None:
    """Llama 3.1 8B with its whole context: 15 GiB of weights and 16 GiB for one sequence, on a card of 24 GB."""
    whole = {"gpu_memory_utilization": 0.9, "max_model_len": 131_072}
    found = of(replace(LLAMA, gpu="RTX 4090", engine=whole))
    assert "engine_pool" not in rows(found)
    assert least_to_start(found.ledger) == found.allocated > 24 * GIB
    assert found.device[0] >= found.allocated
    assert found.notes[-1].startswith("vLLM does not start: it needs")
    assert not any("does not start" in note for note in of(LLAMA).notes)


def test_who_says_no_length_may_shorten_it() -> None:
    found = of(replace(LLAMA, gpu="RTX 4090", engine={"gpu_memory_utilization": 0.9}))
    assert "kv_cache_of_one_sequence" not in rows(found)
    assert found.allocated == of(SMALL).allocated
    assert found.notes[-1].startswith("vLLM does not start unless max_model_len is shorter than the model's 131,072")


OTHERS: dict[str, tuple[object, ...]] = {
    "gpu_memory_utilization": (0.5, 0.95),
    "max_model_len": (1024, 4096),
    "max_num_seqs": (16,),
    "max_num_batched_tokens": (16_384,),
    "kv_cache_dtype": ("fp8",),
    "enforce_eager": (True,),
}


def moved(setting: Setting, name: str, value: object) -> set[str]:
    """The categories whose rows an engine field moves, and "reserved" and "device"."""
    before, after = of(setting), of(replace(setting, engine={**setting.engine, name: value}))  # type: ignore[dict-item]
    phases = tuple(zip(before.ledger.phases, after.ledger.phases, strict=True))
    changed = {
        category.value for category in Category if any(one.of(category) != two.of(category) for one, two in phases)
    }
    return changed | {what for what in ("reserved", "device") if getattr(before, what) != getattr(after, what)}


VARIANTS = (
    SMALL,
    replace(SMALL, stack=Stack("vllm", versions={"vllm": "0.7.3"})),
    replace(SMALL, gpu="H200", engine={"max_num_batched_tokens": 100_000, "max_num_seqs": 8}),
    replace(SMALL, gpu="H200", model="mistralai/Mistral-7B-v0.1"),
)
"""The newer engine, the older one, a long step, and layers with a window."""


@pytest.mark.parametrize("name", OTHERS)
def test_a_field_of_the_engine_moves_what_it_declares(name: str) -> None:
    declared = FIELDS[f"engine.{name}"].affects - {"identity", "time"}
    for value in OTHERS[name]:
        assert set().union(*(moved(setting, name, value) for setting in VARIANTS)) == declared, (name, value)


def test_every_field_of_the_engine_is_tried() -> None:
    """Those of vLLM: AutoAWQ's are tried where that is."""
    fields = {name for name, field in FIELDS.items() if name.startswith("engine.") and field.applies == "vllm"}
    assert {f"engine.{name}" for name in OTHERS} == fields


@pytest.mark.parametrize("field", ["batch_size", "sequence_length", "generated_length"])
def test_requests_do_not_move_what_is_claimed_beforehand(field: str) -> None:
    assert rows(of(replace(SMALL, **{field: 1000}))) == rows(of(SMALL))


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (replace(SMALL, gpu=None), "vLLM takes a share of the card: name a GPU"),
        (replace(SMALL, weights="fp4"), "no formula for how vLLM packs fp4 weights yet"),
        (replace(SMALL, method="lora", lora=Lora(8)), "vLLM does not train"),
        (replace(SMALL, head="sequence-classification", labels=2), "models that do not generate"),
    ],
)
def test_what_is_not_known_of_it_is_refused_by_name(setting: Setting, reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        of(setting)


def test_what_is_loaded_is_told_without_a_card() -> None:
    facts = load_model(SMALL.model)
    assert isinstance(facts, ModelFacts)
    held = holdings(replace(SMALL, gpu=None), facts)
    assert held.ledger.phases[0].of(Category.WEIGHTS) == 494_032_768 * 2 + 32_768 * 64 * 2
