"""Each hypothesis has a number that it explains and one that it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import judge_text
from toolkit.checks.why import HYPOTHESES

DECIMAL = 'units: {GB: decimal, quote: "It says"}\n'
BINARY = 'units: {GB: binary, quote: "It says"}\n'


def reason(folder: Path, text: str, claim: str, head: str = "") -> str:
    outcome = judge_text(folder, text, f"quantity: {claim}", head=head).outcome
    assert outcome.verdict == "disagrees", outcome
    return outcome.reason


EXPLAINED = [
    # 7 × 10^9 parameters for 7,615,616,512
    ("size in the name", "7.0B", "parameters, scenario: qwen-fp32", "", "the size in the model's name"),
    # 7 × 10^9 × 4 bytes = 28 × 10^9
    (
        "size in the name",
        "28 GB",
        "weights, scenario: qwen-fp32",
        DECIMAL,
        "7 B parameters (the size in the name) × 4 bytes",
    ),
    (
        "size in the name",
        "28 GB",
        "gradients, scenario: qwen-fp32",
        DECIMAL,
        "(the size in the name) × 4 bytes",
    ),
    (
        "size in the name",
        "56 GB",
        "optimizer_states, scenario: qwen-fp32",
        DECIMAL,
        "(the size in the name) × 8 bytes",
    ),
    (
        "size in the name",
        "3.5 GB",
        "weights, scenario: qwen-nf4",
        DECIMAL,
        "(the size in the name) × 0.5 bytes",
    ),
    # 7,615,616,512 / 2 = 3.81 × 10^9
    ("bits alone", "3.81 GB", "weights, scenario: qwen-nf4", DECIMAL, "7,615,616,512 parameters × 0.5 bytes"),
    ("stored elements", "11,049,066,048", "parameters, scenario: oss-lora", "", "7,962,624 adapter weights"),
    ("stored elements", "11,041,103,424", "parameters, scenario: oss-loaded", "", "storage elements"),
    (
        "share of stored elements",
        "0.0721%",
        "trainable_share, scenario: oss-lora",
        "",
        "7,962,624 / 11,049,066,048",
    ),
    # 16,060,522,496 bytes are 14.96 GiB
    ("other reading of GB", "14.96 GB", "weights, scenario: llama-bf16", DECIMAL, "2^30"),
    ("other reading of GB", "16.06 GB", "weights, scenario: llama-bf16", BINARY, "10^9"),
    ("weights alone", "15.23 GB", "peak_memory, scenario: qwen-bf16", DECIMAL, "the weights alone"),
]
LEFT_ALONE = [
    ("size in the name", "6.0B", "parameters, scenario: qwen-fp32", "", "size in the"),
    ("size in the name", "26 GB", "weights, scenario: qwen-fp32", DECIMAL, "size in the"),
    ("size in the name", "28 GB", "gradients, scenario: qwen-bf16", DECIMAL, "size in the"),
    ("bits alone", "3.2 GB", "weights, scenario: qwen-nf4", DECIMAL, "parameters × 0.5"),
    ("stored elements", "11,049,066,047", "parameters, scenario: oss-lora", "", "storage"),
    ("stored elements", "11,049,066,048", "parameters, scenario: qwen-fp32", "", "storage"),
    ("share of stored elements", "0.08%", "trainable_share, scenario: oss-lora", "", "reproduces"),
    ("other reading of GB", "13 GB", "weights, scenario: llama-bf16", DECIMAL, "2^30"),
    ("weights alone", "20 GB", "peak_memory, scenario: qwen-bf16", DECIMAL, "weights alone"),
    ("steady terms alone", "5 GB", "peak_memory, scenario: qwen-bf16", DECIMAL, "stays between steps"),
    ("forgotten row", "1 GB", "peak_memory, scenario: qwen-bf16", DECIMAL, "the peak without"),
]


@pytest.mark.parametrize(("name", "text", "claim", "head", "words"), EXPLAINED)
def test_explained(tmp_path: Path, name: str, text: str, claim: str, head: str, words: str) -> None:
    assert name in {one.name for one in HYPOTHESES}
    assert words in reason(tmp_path, text, claim, head)


@pytest.mark.parametrize(("name", "text", "claim", "head", "words"), LEFT_ALONE)
def test_left_alone(tmp_path: Path, name: str, text: str, claim: str, head: str, words: str) -> None:
    assert name in {one.name for one in HYPOTHESES}
    assert words not in reason(tmp_path, text, claim, head)


def test_steady_terms_without_what_the_batch_adds(tmp_path: Path) -> None:
    """bf16: 4 × 15.23 = 60.92 GB stay between steps; 8 × 4,096 tokens without checkpointing need far more."""
    claim = "peak_memory, scenario: qwen-bf16, with: {batch_size: 8, sequence_length: 4096}"
    assert "stays between steps" in reason(tmp_path, "60.9 GB", claim, DECIMAL)


def test_a_forgotten_row_is_named(tmp_path: Path) -> None:
    """bf16: 3 × 15.23 = 45.69 GB and a little more are left of the peak without the gradients."""
    said = reason(tmp_path, "46 GB", "peak_memory, scenario: qwen-bf16", DECIMAL)
    assert "the peak without gradients" in said or "the peak without weights" in said


def test_every_hypothesis_is_tried_here() -> None:
    names = {one.name for one in HYPOTHESES}
    assert {row[0] for row in EXPLAINED} | {"steady terms alone", "forgotten row"} == names
    assert {row[0] for row in LEFT_ALONE} == names
