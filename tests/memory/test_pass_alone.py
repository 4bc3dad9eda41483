"""A loop that calls a model once and generates nothing: the logits of all tokens, by hand and by readings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.test_refusal import facts
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Cache, Setting, Stack

VERSIONS = {"torch": "2.8.0", "transformers": "5.5.4"}
QWEN = Setting(
    "Qwen/Qwen3-8B", "inference", "fp16", compute="fp16", sequence_length=4096, gpu="RTX 5090",
    stack=Stack("plain", versions=VERSIONS),
)  # fmt: skip
VOCABULARY = 151_936
GEMMA = replace(QWEN, model="google/gemma-4-E4B-it", sequence_length=8192)
"""It squashes its logits: a quotient, its tanh and a product, of which two are there at once."""
MIB = 2**20


def found(setting: Setting) -> Estimate:
    return estimate(setting, facts(setting.model))


def bytes_of(name: str, setting: Setting) -> int:
    phase = found(setting).ledger.phase(PhaseName.PREFILL)
    assert phase is not None
    return sum(row.bytes for row in phase.rows if row.name == name)


def logits(setting: Setting) -> int:
    return bytes_of("logits", setting)


def test_a_loop_of_its_own_gets_the_logits_of_all_tokens_in_their_dtype() -> None:
    assert logits(QWEN) == 4096 * VOCABULARY * 2


def test_generation_asks_for_those_of_the_last_token() -> None:
    assert logits(replace(QWEN, stack=Stack("transformers", versions=VERSIONS), generated_length=1)) < 4 * VOCABULARY


def test_the_angles_of_positions_are_gone_where_logits_are_the_most() -> None:
    """The model's body has their name; where a layer is the fullest moment, they are there: cosines and sines."""
    assert bytes_of("position_embeddings", QWEN) == 0
    asked = replace(QWEN, stack=Stack("transformers", versions=VERSIONS), generated_length=1)
    assert bytes_of("position_embeddings", asked) == 2 * 4096 * 128 * 2


def test_squashed_logits_are_there_twice() -> None:
    assert logits(GEMMA) == 2 * 8192 * 262_144 * 2


# vram_peak_mb of results/raw/long_context of crack666/kv-cache-quantization at 69dcdb6, less twice kv_cache_mb, in MiB.
@pytest.mark.parametrize(
    ("setting", "peak", "cache"),
    [
        (QWEN, 18_578.8, 576.0),
        (replace(QWEN, sequence_length=32_768), 39_207.0, 4_608.0),
        (GEMMA, 24_731.1, 448.0),
    ],
)
def test_a_pass_reads_as_published(setting: Setting, peak: float, cache: float) -> None:
    assert found(setting).allocated == pytest.approx((peak - 2 * cache) * MIB, rel=0.001)


PACKED = Cache("quantized", backend="hqq", nbits=4, axis_key=1, axis_value=1, q_group_size=64, residual_length=128)


def test_a_quantized_cache_kept_all_tokens_of_a_layer_with_a_window_until_it_was_refused() -> None:
    """Mistral 7B after 8,192 tokens, with a window of 4,096; the same source: 15,680.8 MiB, of which twice 288."""
    mistral = replace(QWEN, model="mistralai/Mistral-7B-v0.1", sequence_length=8192, cache=PACKED)
    assert found(mistral).allocated == pytest.approx((15_680.8 - 2 * 288.0) * MIB, rel=0.0005)
