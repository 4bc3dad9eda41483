"""What the device holds beyond tensors; an interval at one setting, so that it hardly depends on any."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("1 GB", "scenario: qwen-fp32", "unchecked", "neither confirm nor deny"),
        ("400 GB", "scenario: qwen-fp32", "disagrees", "CUDA context"),
        ("20 MB", "scenario: qwen-fp32", "disagrees", ""),
        ("up to 20 GB", "scenario: qwen-fp32", "agrees", ""),
        # beyond 8,030,261,248 × 2 bytes: at least a context of 250 MiB, 537 MB of cache for 4,096 tokens and a layer
        ("200 MB", 'scenario: llama-bf16, subject: {beyond: "2 bytes"}', "disagrees", "8,030,261,248 parameters"),
        ("1.5 GB", 'scenario: llama-bf16, subject: {beyond: "2 bytes"}', "unchecked", "neither confirm nor deny"),
        # at half a byte for each, three quarters of the 16-bit weights are beyond: 12 GB and more
        ("2 GB", 'scenario: llama-bf16, subject: {beyond: "0.5 bytes"}', "disagrees", ""),
        # the cache grows with the length: 16 MB at 128 tokens, 4.3 GB at 8 × 4,096
        ("500 MB", 'scenario: llama-open, subject: {beyond: "2 bytes"}', "depends", ""),
        ("500 MB", "scenario: llama-bf16, subject: {beyond: much}", "unchecked", "not a number of bytes"),
    ],
)
def test_overhead(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: overhead, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["some"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: overhead, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
