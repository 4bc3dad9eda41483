"""What a GPU has while weights that it loaded whole are shared out, by hand."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.unshared import beside_whole
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

MIB = 1 << 20
MISTRAL, ITS_LAYER = 7_241_732_096, 218_112_000
QWEN, ITS_ROOT = 494_032_768, 151_936 * 896 + 896
LLAMA, ITS_EMBEDDING = 8_030_261_248, 128_256 * 4_096


def loaded(model: str, parallel: Parallel) -> tuple[int, Estimate]:
    """What a GPU has at most while a model is loaded, and the whole estimate of LoRA at few tokens."""
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    setting = Setting(
        model, "lora", "bf16", compute="bf16", amp=True, batch_size=1, sequence_length=64, gpu="A100 80GB",
        gradient_checkpointing="non-reentrant", lora=Lora(8, 16, ("q_proj",), 0.0), parallel=parallel,
        stack=Stack("transformers"),
    )  # fmt: skip
    found = estimate(setting, facts)
    phase = found.ledger.phase(PhaseName.LOAD)
    assert phase is not None
    return phase.total, found


def test_the_first_layer_is_cut_beside_all_weights() -> None:
    """A layer is joined in one, and half of it is copied: 7.24 billion elements and one and a half layers."""
    whole, found = loaded("mistralai/Mistral-7B-v0.1", Parallel(2, "fsdp", loads_whole=True))
    assert 0 <= whole - 2 * MISTRAL - 3 * ITS_LAYER < MIB
    assert found.allocated == whole
    assert found.reserved[0] >= whole
    in_parts, _ = loaded("mistralai/Mistral-7B-v0.1", Parallel(2, "fsdp"))
    assert 0 <= in_parts - MISTRAL < MIB


def test_a_large_root_is_cut_when_half_of_the_layers_has_gone() -> None:
    """One and a half of 136 million elements is more than what the layers gave back and the first one needed."""
    whole, _ = loaded("Qwen/Qwen2.5-0.5B", Parallel(2, "fsdp", loads_whole=True))
    assert 0 <= whole - 2 * (QWEN + ITS_ROOT + ITS_ROOT // 2 - (QWEN - ITS_ROOT) // 2) < MIB


def test_deepspeed_cuts_tensor_by_tensor() -> None:
    """The embedding's eighth is made beside all weights."""
    whole, _ = loaded("meta-llama/Llama-3.1-8B", Parallel(8, "zero3", loads_whole=True))
    assert 0 <= whole - 2 * LLAMA - 2 * ITS_EMBEDDING // 8 < MIB


ADAPTERS = 32 * 8 * (4_096 + 4_096)
"""LoRA of rank 8 on q_proj of 32 layers."""


def test_accelerate_keeps_all_until_every_unit_is_cut() -> None:
    """All weights and adapters, and a quarter of both; adapters are float32."""
    whole, found = loaded("meta-llama/Llama-3.1-8B", Parallel(4, "fsdp2", loads_whole=True))
    assert 0 <= whole - (2 * LLAMA + 4 * ADAPTERS) * 5 // 4 < MIB
    assert found.allocated == whole
    in_parts, _ = loaded("meta-llama/Llama-3.1-8B", Parallel(4, "fsdp2"))
    assert 0 <= in_parts - 2 * LLAMA // 4 < MIB


@pytest.mark.parametrize(
    ("parts", "keeps", "most"),
    [([10, 10], True, 30), ([10, 40], True, 40 * 3 - 10), ([10, 40], False, 40 * 3 - 20), ([], True, 0)],
)
def test_parts_that_stay_leave_less_room(parts: list[int], keeps: bool, most: int) -> None:
    assert beside_whole(parts, 2, keeps=keeps) == most
