"""Memory of a card. It depends on nothing open: a name that two cards share admits the memory of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("16 GB", "scenario: super", "agrees", "GeForce RTX 4070 Ti SUPER is sold with 16 GB"),
        ("12 GB", "scenario: super", "disagrees", "sold with 16 GB"),
        # the RTX 3060 is sold with either
        ("8 GB", "scenario: r3060", "agrees", "8 GB or 12 GB"),
        ("12 GB", "scenario: r3060", "agrees", "8 GB or 12 GB"),
        ("10 GB", "scenario: r3060", "disagrees", "8 GB or 12 GB"),
        ("15.58 GB", "scenario: super, subject: {what: usable}", "agrees", "programs were seen to have"),
        ("17 GB", "scenario: super, subject: {what: usable}", "disagrees", ""),
        (
            "12 GB",
            "scenario: super, subject: {what: usable}",
            "unchecked",
            "other programs may have left less free",
        ),
        ("16 GB", "scenario: no-gpu", "unchecked", "names no GPU"),
        # a claim may name its card itself, about no scenario or against the card of its own
        ("24 GB", "subject: {gpu: RTX 4090}", "agrees", "GeForce RTX 4090 is sold with 24 GB"),
        ("16 GB", "subject: {gpu: RTX 4090}", "disagrees", "sold with 24 GB"),
        ("24 GB", "scenario: super, subject: {gpu: RTX 4090}", "agrees", "sold with 24 GB"),
        ("24 GB", "subject: {gpu: RTX 4091}", "unchecked", "no GPU is known as 'RTX 4091'"),
    ],
)
def test_gpu_memory(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: gpu_memory, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["plenty", "16 cores"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: gpu_memory, scenario: super", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
