"""One figure for several components, as `subject: {plus: [...]}` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import SCENARIOS, judge_text

MIXED = f"{SCENARIOS}  qwen-mixed: {{extends: qwen-bf16, master_weights: fp32}}\n"


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 7,962,624 × (4 + 8) bytes = 95.55 MB, with 4 bytes of gradients 127.4 MB
        ("95.6 MB", "quantity: adapters, scenario: oss-lora, subject: {plus: optimizer_states}", "agrees", ""),
        (
            "31.9 MB",
            "quantity: adapters, scenario: oss-lora, subject: {plus: [optimizer_states]}",
            "disagrees",
            "95.55",
        ),
        (
            "127 MB",
            "quantity: adapters, scenario: oss-lora, subject: {plus: [gradients, optimizer_states]}",
            "agrees",
            "91.12 MiB of gradients and optimizer states",
        ),
        # 7,615,616,512 × (2 + 4 + 2 + 8) bytes = 121.85 GB
        (
            "122 GB",
            "quantity: weights, scenario: qwen-mixed, subject: {plus: [master_weights, gradients, optimizer_states]}",
            "agrees",
            "",
        ),
        ("122 GB", "quantity: weights, scenario: qwen-mixed, subject: {plus: optimizer_states}", "disagrees", ""),
        (
            "✔",
            "quantity: adapters, scenario: oss-lora, subject: {plus: gradients}",
            "agrees",
            "63.70 MB of adapters and gradients",
        ),
        # the weights stand in for themselves where nothing is trained: 8,030,261,248 × 2 bytes = 16.06 GB
        ("16.1 GB", "quantity: weights, scenario: llama-bf16, subject: {plus: optimizer_states}", "agrees", ""),
    ],
)
def test_components_that_are_counted_together(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = judge_text(tmp_path, text, claim, scenarios=MIXED).outcome
    assert outcome.verdict == verdict, outcome
    assert reason in outcome.reason


def test_a_sum_of_components_is_no_product_with_the_size_in_the_name(tmp_path: Path) -> None:
    """15.23 + 15.23 = 30.46 GB: that 7 B × 2 bytes are 14 GB explains a figure for the weights, and none for both."""
    claim = "quantity: weights, scenario: qwen-bf16"
    alone = judge_text(tmp_path, "14,000,000,000 bytes", claim).outcome
    both = judge_text(tmp_path, "14,000,000,000 bytes", f"{claim}, subject: {{plus: gradients}}").outcome
    assert "size in the name" in alone.reason
    assert both.verdict == "disagrees"
    assert "size in the name" not in both.reason


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("quantity: weights, scenario: qwen-bf16, subject: {plus: optimiser}", "'optimiser' is nothing"),
        ("quantity: weights, scenario: qwen-bf16, subject: {plus: activations}", "those are weights, adapters"),
        ("quantity: activations, scenario: qwen-bf16, subject: {plus: weights}", "'activations' is nothing"),
        ("quantity: weights, scenario: qwen-bf16, subject: {plus: weights}", "counted twice"),
        ("quantity: weights, scenario: qwen-bf16, subject: {plus: [gradients, gradients]}", "counted twice"),
    ],
)
def test_what_cannot_be_added_is_said(tmp_path: Path, claim: str, reason: str) -> None:
    outcome = judge_text(tmp_path, "14 GB", claim).outcome
    assert outcome.verdict == "unchecked"
    assert reason in outcome.reason
