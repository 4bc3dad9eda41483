"""Static and quantized caches against arithmetic by hand, and what no formula covers, by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Cache, Parallel, Setting, Stack

QWEN = "Qwen/Qwen2.5-0.5B"  # 24 layers of 2 key-value heads of 64
LLAMA = "huggyllama/llama-7b"  # 32 layers of 32 heads of 128
MISTRAL = "mistralai/Mistral-7B-v0.1"  # 32 layers of 8 heads of 128, a window of 4,096
FP8 = Cache("quantized", backend="fp8")
QUANTO = Cache("quantized", backend="quanto", nbits=4, axis_key=0, axis_value=0, q_group_size=64, residual_length=128)
HQQ = replace(QUANTO, backend="hqq")


def _estimate(model: str, cache: Cache | None, **fields: Any) -> Estimate:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    given = {"batch_size": 4, "sequence_length": 1000, "generated_length": 201, **fields}
    return estimate(
        Setting(**{"model": model, "method": "inference", "weights": "bf16", "cache": cache, **given}), facts
    )


def _kept(found: Estimate, phase: PhaseName = PhaseName.DECODE) -> int:
    row = found.ledger.phase(phase)
    assert row is not None
    return sum(one.bytes for one in row.rows if one.category is Category.KV_CACHE)


def test_a_static_cache_has_room_for_all_tokens_from_the_prompt_on() -> None:
    """24 layers x 4 sequences x 1,200 tokens x 2 heads x (64 + 64) x 2 bytes: the last token is never attended to."""
    found = _estimate(QWEN, Cache("static"))
    room = 24 * 4 * 1200 * 2 * (64 + 64) * 2
    assert _kept(found, PhaseName.PREFILL) == room
    assert _kept(found) == room
    assert _kept(_estimate(QWEN, None), PhaseName.PREFILL) == room * 1000 // 1200


def test_a_static_cache_may_be_made_longer_than_one_answer_needs() -> None:
    assert _kept(_estimate(QWEN, Cache("static", 4096))) == 24 * 4 * 4096 * 2 * 128 * 2
    assert _kept(_estimate(QWEN, Cache("static", 64))) == _kept(_estimate(QWEN, Cache("static")))


def test_a_static_layer_with_a_window_has_room_for_that_alone() -> None:
    found = _estimate(MISTRAL, Cache("static"), batch_size=1, sequence_length=6000)
    assert _kept(found) == 32 * 4096 * 8 * (128 + 128) * 2
    growth = next(row for row in found.ledger.phase(PhaseName.DECODE).rows if row.name == "kv_cache_growth")  # type: ignore[union-attr]
    assert growth.bytes in (0, 4096 * 8 * (128 + 128) * 2)  # one layer, moved by one place


def test_four_bits_are_half_a_byte_and_two_numbers_a_group() -> None:
    """After 200 tokens 128 of them are packed with the prompt, and 72 are as they were."""
    found = _estimate(LLAMA, QUANTO)
    packed, plain = 4 * 1128 * 32 * 128, 4 * 72 * 32 * 128
    assert _kept(found) == 32 * 2 * (packed // 2 + packed // 64 * 2 * 2 + plain * 2)


@pytest.mark.parametrize(("nbits", "each"), [(1, 1 / 8), (2, 1 / 4), (3, 28 / 64), (4, 1 / 2), (8, 1)])
def test_hqq_keeps_its_bits_in_bytes_and_three_bits_by_ten_in_four_bytes(nbits: int, each: float) -> None:
    """64 values of three bits are padded to 70, which are seven integers."""
    found = _estimate(LLAMA, replace(HQQ, nbits=nbits), generated_length=1)
    elements = 4 * 1000 * 32 * 128
    assert _kept(found) == 32 * 2 * (int(elements * each) + elements // 64 * 2 * 2)


def test_fp8_keeps_a_byte_and_one_scale() -> None:
    assert _kept(_estimate(LLAMA, FP8)) == 32 * 2 * (4 * 1200 * 32 * 128 + 4)


@pytest.mark.parametrize("cache", [FP8, QUANTO, HQQ, Cache("static")])
def test_a_cache_moves_nothing_before_the_prompt(cache: Cache) -> None:
    plain, other = _estimate(LLAMA, None), _estimate(LLAMA, cache)
    assert plain.ledger.phase(PhaseName.LOAD) == other.ledger.phase(PhaseName.LOAD)


def test_fewer_bits_keep_less_and_longer_residuals_keep_more() -> None:
    kept = [_kept(_estimate(LLAMA, replace(QUANTO, nbits=nbits))) for nbits in (2, 4)]
    assert kept == sorted(kept)
    assert _kept(_estimate(LLAMA, replace(QUANTO, residual_length=201))) > kept[1]


REFUSED: dict[str, tuple[str, Cache, dict[str, Any], str]] = {
    "padding": (QWEN, Cache("static"), {"padding": True}, "of padded rows"),
    "several GPUs": (QWEN, FP8, {"parallel": Parallel(2, "tensor")}, "on several GPUs"),
    "latent attention": ("deepseek-ai/DeepSeek-V2-Lite", Cache("static"), {}, "of latent attention"),
    "an encoder": ("google-t5/t5-small", Cache("static"), {}, "attends to an encoder"),
    "windows": (MISTRAL, QUANTO, {}, "transformers has no quantized cache of layers with a window"),
    "a window between": (MISTRAL, Cache("static", 8192), {}, "a window between"),
    "flash": (QWEN, Cache("static"), {"attention": "flash"}, "with flash attention"),
    "old releases": (
        QWEN,
        Cache("static"),
        {"stack": Stack("transformers", versions={"transformers": "5.11"})},
        "of transformers before 5.14",
    ),
    "older releases": (
        QWEN,
        QUANTO,
        {"stack": Stack("transformers", versions={"transformers": "4.50"})},
        "of transformers before 4.56",
    ),
    "a release before 8-bit floats": (
        QWEN,
        FP8,
        {"stack": Stack("transformers", versions={"transformers": "5.20"})},
        "of transformers before 5.21",
    ),
}


@pytest.mark.parametrize(("model", "cache", "fields", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_no_formula_covers_is_refused_by_name(
    model: str, cache: Cache, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        _estimate(model, cache, **fields)
