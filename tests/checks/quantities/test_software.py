"""Releases, their requirements and what they know; what is open has no say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("0.19.0", "subject: {package: trl}", "agrees", "trl 0.19.0 was released on 2025-06-20"),
        ("2025.11.1", "subject: {package: unsloth}", "agrees", "was released"),
        ("2024.11.1", "subject: {package: unsloth}", "disagrees", "there is no release 2024.11.1 of unsloth"),
        ("99.0.0", "subject: {package: trl}", "unchecked", "newer than every release"),
        (
            "0.19.0",
            'subject: {package: trl, with: {unsloth: "2025.11.1"}}',
            "disagrees",
            "unsloth 2025.11.1 declares trl!=0.19.0,<=0.23.0,>=0.18.2, which excludes trl 0.19.0",
        ),
        (
            "0.23.0",
            'subject: {package: trl, with: {unsloth: "2025.11.1"}}',
            "agrees",
            "which admits trl 0.23.0",
        ),
        (
            "0.19.0",
            'subject: {package: trl, says: incompatible, with: {unsloth: "2025.11.1"}}',
            "agrees",
            "excludes",
        ),
        (
            "0.23.0",
            'subject: {package: trl, says: incompatible, with: {unsloth: "2025.11.1"}}',
            "unchecked",
            "no metadata shows",
        ),
        ("4.57.1", "subject: {package: transformers, supports: gpt_oss}", "agrees", "since 4.55.0"),
        ("4.54.1", "subject: {package: transformers, supports: gpt_oss}", "disagrees", "since 4.55.0"),
        ("4.57.1", "subject: {package: transformers, supports: no_such_model}", "unchecked", "not recorded"),
        ("4.35+", "subject: {package: transformers, supports: qwen2}", "disagrees", "since 4.37.0"),
        ("0.1.7", "subject: {package: vllm, supports: awq, says: unsupported}", "agrees", "since 0.2.0"),
        ("0.2.0", "subject: {package: vllm, supports: awq, says: unsupported}", "disagrees", "since 0.2.0"),
        # of no version: of all up to the newest
        ("no quantization", "subject: {package: vllm, supports: awq, says: unsupported}", "disagrees", "since 0.2.0"),
        ("AWQ", "subject: {package: vllm, supports: awq}", "agrees", "since 0.2.0"),
        ("magic", "subject: {package: vllm, supports: magic}", "unchecked", "not recorded"),
    ],
)
def test_software(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: software, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["latest"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: software, subject: {package: trl}", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
