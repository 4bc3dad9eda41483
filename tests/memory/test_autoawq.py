"""AutoAWQ's fused modules: the real ones, run on tensors without storage, and what was read on a card."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.allocator.caching import CachingAllocator
from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.settings.setting import Kernels, Parallel, Setting, Stack

GIB = 2**30
MISTRAL, LLAMA_7B, LLAMA_13B = "mistralai/Mistral-7B-v0.1", "meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-13b-hf"
VERSIONS = {"autoawq": "0.1.6", "transformers": "4.35.0"}


def of(model: str, kernel: str | None, batch: int, length: int, **more: Any) -> Estimate:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    said: dict[str, Any] = {
        "compute": "fp16",
        "weights": "awq-int4",
        "generated_length": length,
        "engine": {"max_new_tokens": length},
        "stack": Stack("autoawq", versions=VERSIONS),
        **more,
    }
    setting = Setting(
        model,
        "inference",
        batch_size=batch,
        sequence_length=length,
        gpu="RTX 4090",
        kernels=Kernels(awq=kernel),
        **said,
    )
    return estimate(setting, facts)


def rows(found: Estimate, name: PhaseName) -> dict[str, int]:
    phase = found.ledger.phase(name)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


# Live storages in units of 512 bytes while awq/modules/fused and awq/utils/fused_utils.py of autoawq 0.1.6 made and
# ran their modules on meta tensors, with stand-ins for the CUDA extension that allocate as it does (awq_cuda): the most
# while a model was made, and the most of a prompt's pass up to its float32 logits, without its token ids.
RUN = (
    (MISTRAL, "gemm", 1, 64, 4_591_919_104, 4_182_786_048),
    (MISTRAL, "gemm", 8, 2048, 6_848_782_336, 18_050_719_744),
    (LLAMA_7B, "gemv", 1, 2048, 5_899_034_624, 6_549_151_744),
    (LLAMA_13B, "gemm", 3, 64, 9_077_417_984, 7_472_678_912),
)


@pytest.mark.parametrize(("model", "kernel", "batch", "length", "made", "prompt"), RUN)
def test_the_real_modules_need_as_much(
    model: str, kernel: str, batch: int, length: int, made: int, prompt: int
) -> None:
    found = of(model, kernel, batch, length)
    beside = {"unsplit_blocks", "cublas_workspace", "token_ids"}
    for phase, expected in ((PhaseName.LOAD, made), (PhaseName.PREFILL, prompt)):
        assert sum(size for name, size in rows(found, phase).items() if name not in beside) == expected


# casper-hansen/AutoAWQ at 5c7e368, README.md: version 0.1.6 on an RTX 4090, max_memory_allocated / 1024**3.
READ = (
    (LLAMA_7B, "gemv", 1, 64, 4.50),
    (LLAMA_7B, "gemv", 1, 2048, 6.15),
    (MISTRAL, "gemm", 1, 2048, 5.55),
    (MISTRAL, "gemm", 8, 2048, 16.82),
    (MISTRAL, "gemv", 1, 64, 4.28),
    (MISTRAL, "gemv", 8, 64, 4.33),
    (LLAMA_13B, "gemm", 1, 64, 8.47),
    (LLAMA_13B, "gemm", 1, 2048, 10.28),
    (LLAMA_13B, "gemm", 3, 64, 8.57),
    (LLAMA_13B, "gemm", 3, 2048, 16.90),
)


@pytest.mark.parametrize(("model", "kernel", "batch", "length", "read"), READ)
def test_cards_read_as_much(model: str, kernel: str, batch: int, length: int, read: float) -> None:
    assert of(model, kernel, batch, length).allocated == pytest.approx(read * GIB, rel=0.0015, abs=0.005 * GIB)


def test_room_for_keys_is_laid_out_when_the_modules_are_made() -> None:
    """32 layers x 8 sequences x 2,048 positions x 8 heads x 128 x (key + value) x 2 bytes.

    At the fullest moment of making them the last layer's values are there, and its keys in float32 and in float16.
    """
    each = 8 * 2048 * 8 * 128 * 2
    found = of(MISTRAL, None, 8, 2048)
    assert rows(found, PhaseName.PREFILL)["kv_cache"] == rows(found, PhaseName.DECODE)["kv_cache"] == 32 * 2 * each
    assert rows(found, PhaseName.LOAD)["kv_cache"] == 32 * 2 * each
    width = 6144
    packed = 4096 * width // 2 + 32 * width // 2 + 32 * width * 2
    assert rows(found, PhaseName.LOAD)["fused_copies"] == 32 * packed + 2 * each


def test_without_a_length_it_is_laid_out_for_all_positions() -> None:
    """Mistral 7B knows 32,768, and its angles are complex numbers for twice as many, of 64 pairs, in 32 layers."""
    found = of(MISTRAL, None, 1, 64, engine={})
    assert rows(found, PhaseName.DECODE)["kv_cache"] == 32 * 2 * 32_768 * 8 * 128 * 2
    assert rows(found, PhaseName.DECODE)["rotary_caches"] == 32 * 2 * 32_768 * 64 * 8


def test_the_length_of_the_cache_moves_what_it_declares() -> None:
    """Beside keys and values the table of angles, and what is cast while they are made."""
    field = FIELDS["engine.max_new_tokens"]
    before, after = (of(MISTRAL, None, 1, 64, engine={"max_new_tokens": room}).ledger for room in (4096, 65_536))
    phases = tuple(zip(before.phases, after.phases, strict=True))
    moved = {one.value for one in Category if any(first.of(one) != second.of(one) for first, second in phases)}
    assert moved == field.affects
    assert field.applies == FIELDS["kernels.awq"].applies == "autoawq"


def test_a_full_cache_is_moved_in_a_copy() -> None:
    """One layer's values, where a token comes for which there is no room."""
    values = 2048 * 8 * 128 * 2
    assert rows(of(MISTRAL, None, 1, 2048), PhaseName.DECODE)["kv_cache_growth"] == values
    roomy = of(MISTRAL, None, 1, 2048, engine={"max_new_tokens": 4096})
    assert "kv_cache_growth" not in rows(roomy, PhaseName.DECODE)


def test_scales_of_the_second_kernel_are_padded() -> None:
    """86 groups of 11,008 inputs take 88 scales and 11 int32 of zeros a row; 32 groups of 4,096 are as many already."""
    plain, padded = (rows(of(LLAMA_7B, name, 1, 64), PhaseName.LOAD)["weights"] for name in ("gemm", "gemv"))
    assert padded - plain == 32 * 4096 * ((88 - 86) * 2 + 11 * 4 - 86 // 2)


def test_ends_of_blocks_are_those_of_the_allocator() -> None:
    """Gate, up and down of Llama 2 7B have 21.5 MiB each: a segment of 22, of which half a MiB is not split off."""
    allocator = CachingAllocator()
    assert allocator.allocate(4096 * 11008 // 2).size == 22 << 20
    assert rows(of(LLAMA_7B, "gemm", 1, 64), PhaseName.DECODE)["unsplit_blocks"] >= 32 * 3 * (1 << 19)
    assert "unsplit_blocks" not in rows(of(MISTRAL, "gemm", 1, 64), PhaseName.DECODE)  # whole MiB, in pairs


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"stack": Stack("autoawq", versions={"autoawq": "0.2.5"})}, "0.1.4 to 0.1.6"),
        ({"stack": Stack("autoawq")}, "0.1.4 to 0.1.6"),
        ({"weights": "bf16"}, "weights awq-int4"),
        ({"compute": "bf16"}, "products in fp16"),
        ({"engine": {"max_new_tokens": 32}}, "room for"),
        ({"parallel": Parallel(2, "pipeline")}, "pipeline with autoawq"),
    ],
)
def test_what_no_formula_covers_is_refused(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        of(MISTRAL, None, 1, 64, **more)


def test_other_families_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="AutoAWQ"):
        of("Qwen/Qwen2.5-7B", None, 1, 64)
