"""Layers with a window, and tuples of keys and values, in the caches of transformers' releases."""

from __future__ import annotations

from dataclasses import replace

from tests.memory.test_refusal import facts
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Setting, Stack

MISTRAL = Setting(
    "mistralai/Mistral-7B-v0.1", "inference", "bf16", sequence_length=8160, generated_length=2, attention="flash"
)
KEYS = 8 * 128 * 2
"""Bytes of the keys of one token in one layer, and of its values."""


def found(setting: Setting, transformers: str) -> Estimate:
    stack = Stack("transformers", versions={"transformers": transformers})
    return estimate(replace(setting, stack=stack), facts(setting.model))


def row(given: Estimate, name: str, phase: PhaseName = PhaseName.DECODE) -> int:
    held = given.ledger.phase(phase)
    assert held is not None
    return sum(one.bytes for one in held.rows if one.name == name)


def test_a_cache_kept_what_is_outside_of_a_window_until_its_layers_had_windows() -> None:
    """TextWiz reads 1,069,547,520 bytes of cache after 8,160 tokens, with transformers 4.43.4."""
    assert 2 * 32 * KEYS * 8160 == 1_069_547_520
    assert row(found(MISTRAL, "4.43.4"), "kv_cache") == 2 * 32 * KEYS * 8161
    assert row(found(MISTRAL, "4.55.4"), "kv_cache") == 2 * 32 * KEYS * 8161
    assert row(found(MISTRAL, "4.56.0"), "kv_cache") == 2 * 32 * KEYS * 4096


def test_flash_attention_attended_to_all_of_it_and_copied_the_window_beside() -> None:
    """Keys and values repeated for four query heads each, copies of 4,095 tokens' beside, and the token's own."""
    states, sliced = row(found(MISTRAL, "4.43.4"), "attention_states"), 2 * 4095 * KEYS
    assert states - 2 * 4 * 8161 * KEYS - sliced < 4 * 4096 * 2
    assert row(found(MISTRAL, "4.47.1"), "attention_states") == states


def test_the_copies_do_not_depend_on_which_prompt_was_estimated_first() -> None:
    """A prompt shorter than the window has none; no other test here is of this model."""
    short = Setting("bigcode/starcoder2-7b", "inference", "bf16", sequence_length=2000, attention="flash")
    short = replace(short, generated_length=2)
    found(short, "4.43.4")
    rows = {
        tokens: row(found(replace(short, sequence_length=tokens), "4.43.4"), "attention_states")
        for tokens in (4000, 8160)
    }
    assert rows[8160] >= 2 * 4095 * 4 * 128 * 2 > rows[4000]


def test_a_second_token_of_gpt_bigcode_came_while_the_prompt_still_had_its_joined_projection() -> None:
    """What is cached of the prompt are views of queries, keys and values: 6,144 + 2 x 128 numbers a token and layer."""
    setting = replace(MISTRAL, model="bigcode/starcoder", sequence_length=695)
    prompt = 40 * 695 * (6144 + 2 * 128) * 2
    assert prompt <= row(found(setting, "4.53.0"), "attention_states") < prompt + 100_000
    assert row(found(setting, "4.54.0"), "attention_states") < prompt
