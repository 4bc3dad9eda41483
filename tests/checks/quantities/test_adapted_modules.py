"""Names of modules against those of the model; what is open has no say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 4 in each of 24 layers
        ("q_proj, k_proj, v_proj, o_proj", "scenario: oss-lora", "agrees", "96 modules"),
        # the experts are fused parameters
        (
            "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
            "scenario: oss-lora",
            "disagrees",
            "gate_proj, up_proj, down_proj match no module",
        ),
        # 3 in each of 28 layers
        ("gate_proj, up_proj, down_proj", "scenario: qwen-fp32", "agrees", "84 modules"),
        ("c_attn", "scenario: qwen-fp32", "disagrees", "match"),
        # 28 × 7 - 28 × 2
        (
            "all linear layers (q_proj, v_proj)",
            "scenario: qwen-fp32",
            "disagrees",
            "140 other linear layers are left out",
        ),
        # 28 × 7
        ("all-linear", "scenario: qwen-fp32", "agrees", "196 modules"),
    ],
)
def test_adapted_modules(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: adapted_modules, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


def test_the_names_that_match_are_the_repair(tmp_path: Path) -> None:
    text = "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
    outcome = outcome_of(tmp_path, text, "quantity: adapted_modules, scenario: oss-lora", "disagrees")
    assert outcome.repair == "list q_proj, k_proj, v_proj, o_proj"


@pytest.mark.parametrize("text", ["some layers", "16"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: adapted_modules, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
