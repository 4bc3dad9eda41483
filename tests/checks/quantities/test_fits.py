"""Fits on a card, by what a program can use of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 4 × 15.23 GB do not fit in 24 GB
        ("no", "scenario: qwen-run", "agrees", "24 GB has"),
        ("❌ Impossible", "scenario: qwen-run", "agrees", ""),
        ("✔ Yes", "scenario: qwen-run", "disagrees", "needs"),
        # 15.23 GB of weights and a short context on 80 GB
        ("✅", "scenario: h100", "agrees", ""),
        ("❌", "scenario: h100", "disagrees", ""),
        # 14.19 GiB of weights on 16 GB: up to the cache and the logits
        ("yes", "scenario: super", "depends", "GeForce RTX 4070 Ti SUPER has"),
        ("yes", "scenario: no-gpu", "unchecked", "names no GPU"),
        # a card or a batch size in a command says so without a word
        ("H100 80GB", "scenario: h100, subject: {says: fits}", "agrees", ""),
        ("H100 80GB", "scenario: h100, subject: {says: does not fit}", "disagrees", ""),
    ],
)
def test_fits(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: fits, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["perhaps", "24 GB"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: fits, scenario: qwen-run", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
