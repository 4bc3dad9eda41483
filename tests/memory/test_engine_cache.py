"""vLLM's cache: bytes of a token and of a sequence by hand, and the room for them in published start-up logs."""

from __future__ import annotations

import pytest

from tests.memory.engines import GIB, context_of, estimated, served
from toolkit.memory.formula.engine.cache import token_bytes
from toolkit.memory.formula.engine.engine import cache_room, card_of, keys_and_values, share_of
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
GEMMA_2 = "google/gemma-2-9b-it"
GEMMA_3 = "google/gemma-3-1b-it"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (served(LLAMA, "L4", "0.11.0"), 32 * 2 * 8 * 128 * 2),
        (served(LLAMA, "L4", "0.11.0", kv_cache_dtype="fp8"), 32 * 2 * 8 * 128),
        (served(LLAMA, "L4", "0.11.0", gpus=4), 32 * 2 * 2 * 128 * 2),
        (served("Qwen/Qwen3-235B-A22B", "H200", "0.10.0", gpus=8, weights="fp8"), 94 * 2 * 1 * 128 * 2),  # 4 heads
        (served("deepseek-ai/DeepSeek-V2-Lite", "L4", "0.11.0"), 27 * (512 + 64) * 2),  # a latent and its position
        (served(GEMMA_2, "A100 80GB", "0.7.3", max_model_len=8192), 42 * 2 * 8 * 256 * 2),
        (served(GEMMA_2, "A100 80GB", "0.11.0", max_model_len=8192), 42 * 2 * 8 * 256 * 2),  # 21 of each: two groups
        # 22 layers with a window and 4 without: groups of 4, the last of which lacks two
        (served(GEMMA_3, "L4", "0.11.0"), (24 + 4) * 2 * 1 * 256 * 2),
        (served(GEMMA_3, "L4", "0.8.5"), 26 * 2 * 1 * 256 * 2),
    ],
)
def test_a_token_by_hand(setting: Setting, expected: int) -> None:
    assert token_bytes(context_of(setting)) == expected


@pytest.mark.parametrize("version", [None, "0.9.0", "0.12.0"])
def test_windows_beside_none_are_refused_where_the_release_was_not_read(version: str | None) -> None:
    with pytest.raises(UnsupportedRow, match="layers of several windows"):
        token_bytes(context_of(served(GEMMA_3, "L4", version)))


@pytest.mark.parametrize(
    ("model", "version", "tokens"),
    [
        ("mistralai/Mistral-7B-v0.1", "0.7.3", 32_768 * 32),
        ("mistralai/Mistral-7B-v0.1", "0.11.0", (6_144 + 16) * 32),  # a window of 4,096 less one, a step of 2,048
        ("mistralai/Mistral-7B-v0.1", None, 4_096 * 32),  # the least
        (LLAMA, "0.11.0", 32_768 * 32),
        (LLAMA, None, 32_768 * 32),
    ],
)
def test_a_sequence_by_hand(model: str, version: str | None, tokens: int) -> None:
    """SlidingWindowSpec.max_memory_usage_bytes in vllm v1/kv_cache_interface.py, and raise_if_cache_size_invalid."""
    context = context_of(served(model, "A100 80GB", version))
    assert keys_and_values(context, 32_768) == tokens * 2 * 8 * 128 * 2


def test_groups_keep_whole_layers_of_a_sequence() -> None:
    """Gemma 3 1B: 6 groups of 4 layers with a window of 512, and one without, of 32,768 tokens."""
    blocks = 6 * ((512 - 1 + 2048 + 15) // 16 + 1) + 32_768 // 16
    assert keys_and_values(context_of(served(GEMMA_3, "L4", "0.11.0")), 32_768) == 4 * blocks * 16 * 2 * 256 * 2


@pytest.mark.parametrize(
    ("setting", "printed"),
    [
        # Available KV cache memory in GiB, in start-up logs: specs/published/vllm_logs has where each was published.
        (served(LLAMA, "L4", "0.11.0", share=0.92, max_model_len=32_000, max_num_seqs=128), 4.75),
        (served("meta-llama/Meta-Llama-3-8B-Instruct", "H200", "0.11.2", max_model_len=1024), 105.97),
        (served("Qwen/Qwen2.5-14B-Instruct", "A100 40GB", "0.7.3", share=0.8, max_model_len=8192), 2.33),
        (served("Qwen/Qwen2.5-7B-Instruct", "A100 80GB", "0.10.1.1", share=0.25, gpus=2, max_model_len=16_384), 12.02),
        (served(LLAMA, "H100 SXM5 80GB", "0.11.0", max_model_len=16_000), 51.38),
    ],
)
def test_the_room_for_it_holds_what_published_logs_say(setting: Setting, printed: float) -> None:
    low, high = cache_room(context_of(setting))
    assert low <= printed * GIB <= high


def test_the_rows_add_up_to_the_share() -> None:
    found = estimated(served(LLAMA, "L4", "0.11.0", max_model_len=8192))
    phase = found.ledger.phase(PhaseName.SERVE)
    assert phase is not None
    rows = {row.name: row.bytes for row in phase.rows}
    context = context_of(served(LLAMA, "L4", "0.11.0", max_model_len=8192))
    least = share_of(context.setting, card_of(context.setting))[0]
    assert phase.total == least
    pool = rows["kv_cache_of_one_sequence"] + rows["engine_pool"]
    assert pool == least - rows["profile_run"] - sum(row.bytes for row in found.ledger.phases[0].rows)
    assert cache_room(context)[0] < pool <= cache_room(context)[1]
    assert any("keys and values: " in note for note in found.notes)


def test_a_card_that_may_be_too_small_is_not_said_to_be_enough() -> None:
    """Without CUDA graphs on an L4: it shows its share, unless the sequence needs what may not be there for it."""
    short, long = (
        estimated(served(LLAMA, "L4", "0.12.0", max_model_len=length, enforce_eager=True)) for length in (8192, 24_000)
    )
    assert short.device[1] < long.device[1]
    low, high = cache_room(context_of(served(LLAMA, "L4", "0.12.0", max_model_len=24_000, enforce_eager=True)))
    assert low < 24_000 * 131_072 < high
    card = card_of(long.setting)
    assert long.device[1] > card.usable_high >= short.device[1]
