"""Memory of the float32 copy of 16-bit weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import SCENARIOS, judge_text, outcome_of

MIXED = f"{SCENARIOS}  qwen-mixed: {{extends: qwen-bf16, master_weights: fp32}}\n"


@pytest.mark.parametrize(
    ("text", "scenario", "verdict", "reason"),
    [
        # 7,615,616,512 × 4 bytes
        ("30.5 GB", "qwen-mixed", "agrees", "7,615,616,512 trained parameters, copied in fp32"),
        ("15.2 GB", "qwen-mixed", "disagrees", "30.46 GB"),
        ("✔", "qwen-mixed", "agrees", "30.46 GB of master weights"),
        # without one said there is none
        ("30.5 GB", "qwen-bf16", "disagrees", "no copy beside the bf16 weights"),
        ("✔", "qwen-bf16", "disagrees", "0 bytes of master weights"),
    ],
)
def test_master_weights(tmp_path: Path, text: str, scenario: str, verdict: str, reason: str) -> None:
    outcome = judge_text(tmp_path, text, f"quantity: master_weights, scenario: {scenario}", scenarios=MIXED).outcome
    assert outcome.verdict == verdict
    assert reason in outcome.reason


def test_they_show_which_gb_is_meant(tmp_path: Path) -> None:
    """30,462,466,048 bytes are 28.37 of 2^30, and no other exact figure says which is meant."""
    outcome = judge_text(
        tmp_path, "28.37 GB", "quantity: master_weights, scenario: qwen-mixed", scenarios=MIXED
    ).outcome
    assert outcome.verdict == "agrees"
    assert outcome.claimed is not None
    assert list(outcome.claimed.readings) == ["binary"]


@pytest.mark.parametrize("text", ["heavy"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: master_weights, scenario: qwen-bf16", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
