"""Keys and values: Llama-3.1-8B takes 2 × 32 layers × 8 heads × 128 × 2 bytes = 131,072 bytes a token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 131,072 × 4,096 = 2^29
        ("512 MiB", "scenario: llama-bf16", "agrees", "1 sequences of 4096 tokens"),
        ("537 MB", "scenario: llama-bf16", "agrees", ""),
        # that would be 32 key-value heads
        ("2 GiB", "scenario: llama-bf16", "disagrees", "512 MiB"),
        # batch 4 of 4,096 tokens
        ("2 GiB", "scenario: llama-open", "depends", ""),
        # 8 × 4,096 tokens, the most of the profile, are 4 GiB
        ("8 GiB", "scenario: llama-open", "disagrees", ""),
    ],
)
def test_kv_cache(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: kv_cache, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["small"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: kv_cache, scenario: llama-bf16", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
