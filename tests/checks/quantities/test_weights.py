"""Memory of the weights: tensors in the form in which they are held."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 7,615,616,512 × 4 = 30,462,466,048 bytes
        ("30.46 GB", "scenario: qwen-fp32", "agrees", "7,615,616,512 parameters held as fp32"),
        # 30,462,466,048 / 2^30 = 28.370
        ("28.37 GiB", "scenario: qwen-fp32", "agrees", "computed 28.37 GiB"),
        ("26 GB", "scenario: qwen-fp32", "disagrees", "beyond the claim"),
        ("at least 30 GB", "scenario: qwen-fp32", "agrees", "30.46 GB"),
        ("up to 30 GB", "scenario: qwen-fp32", "agrees", ""),
        ("up to 27 GB", "scenario: qwen-fp32", "disagrees", ""),
        ("more than 40 GB", "scenario: qwen-fp32", "disagrees", ""),
        # measured by the source; Unsloth loads with double quantization
        ("11.67 GiB", "scenario: oss-loaded", "agrees", "20,914,757,184 parameters held as nf4"),
        # GB is read as GiB, under which alone it agrees (12.52 GB)
        ("11.67GB", "scenario: oss-loaded", "agrees", "11.66 GiB"),
        ("12.67 GiB", "scenario: oss-loaded", "disagrees", "computed 11.66 GiB"),
        # 6,525,288,448 / 2 + 6,525,288,448 / 64 × 4 + 1,090,328,064 × 2 = 5,851,130,880
        ("5.85 GB", "scenario: qwen-nf4", "depends", ""),
        # double quantization: scales of 1 byte and 4 bytes for 256 of them: 5,546,8.. bytes
        ("5.55 GB", "scenario: qwen-nf4", "depends", ""),
        ("6.5 GB", "scenario: qwen-nf4", "disagrees", ""),
    ],
)
def test_weights(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: weights, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


def test_double_quantization_is_what_it_depends_on(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "5.55 GB", "quantity: weights, scenario: qwen-nf4", "depends")
    assert outcome.boundary == "true with double_quant true, false with double_quant false"
    assert outcome.repair == "double_quant: true"


@pytest.mark.parametrize("text", ["many", "3 hours", "28 GB of 30 GB", "40%"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: weights, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
