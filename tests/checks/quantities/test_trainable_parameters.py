"""Trained parameters: rank × (inputs + outputs) of each matched module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 24 × (6,976 + 3,392 + 3,392 + 6,976) × 16
        (
            "7,962,624",
            "scenario: oss-lora",
            "agrees",
            "rank 16 on q_proj, k_proj, v_proj, o_proj (96 modules)",
        ),
        ("7.96M", "scenario: oss-lora", "agrees", ""),
        ("21M", "scenario: oss-lora", "disagrees", "7,962,624"),
        # 28 × (3 × 22,528 + 2 × 7,168 + 2 × 4,096) × 16
        ("40,370,176", "scenario: qwen-lora16", "agrees", "all-linear"),
        # all of them
        ("7,615,616,512", "scenario: qwen-fp32", "agrees", "7,615,616,512 parameters are trained"),
        ("40,370,176", "scenario: qwen-lora-rank-open", "depends", ""),
        ("900M", "scenario: qwen-lora-rank-open", "disagrees", ""),
    ],
)
def test_trainable_parameters(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: trainable_parameters, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


def test_the_rank_that_gives_a_count_is_found(tmp_path: Path) -> None:
    claim = "quantity: trainable_parameters, scenario: qwen-lora-rank-open"
    outcome = outcome_of(tmp_path, "40,370,176", claim, "depends")
    assert outcome.boundary == "true with lora.rank 16, false up to 15 and from 17"
    assert outcome.repair == "lora: {rank: 16}"


@pytest.mark.parametrize("text", ["few", "8 MB"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: trainable_parameters, scenario: oss-lora", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
