"""Optimizer steps of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of
from toolkit.checks.quantities.steps import optimizer_steps
from toolkit.spec.settings.setting import Parallel, Run, Setting


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 320 × 3 / (2 × 4)
        ("120", "scenario: oss-lora", "agrees", "120 optimizer steps"),
        ("120 batches", "scenario: oss-lora", "agrees", ""),
        ("960", "scenario: oss-lora", "disagrees", "960 examples seen"),
        ("480", "scenario: oss-lora", "disagrees", "480 forward passes"),
        # 320 × 3 / 2: with a batch of 2, between the 960 of 1 and the 120 of 8
        ("480", "scenario: qwen-run-open", "depends", ""),
        ("960", "scenario: qwen-run-open", "depends", ""),
        # a batch of 3: 3 × ceil(320 / 3) = 321, which 315 to 325 holds
        ("320", "scenario: qwen-run-open", "depends", ""),
        ("5,000", "scenario: qwen-run-open", "disagrees", ""),
        ("100", "scenario: qwen-fp32", "unchecked", "no number of examples or epochs"),
    ],
)
def test_steps(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: steps, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


def test_a_number_that_a_batch_in_the_middle_gives_is_found(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "480", "quantity: steps, scenario: qwen-run-open", "depends")
    assert outcome.boundary == "true with batch_size 2, false up to 1 and from 3"
    assert outcome.repair == "batch_size: 2"


@pytest.mark.parametrize("text", ["many", "80%", "3 GB"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: steps, scenario: oss-lora", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed


@pytest.mark.parametrize(
    ("parallel", "steps"),
    [
        (Parallel(4, "ddp"), 10),  # 1,280 / (4 x 8 x 4 copies)
        (Parallel(4, "pipeline", schedule="1f1b"), 40),  # whose stages see the same batches
        (Parallel(4, "pipeline", schedule="1f1b", optimizer_shards=2), 20),
        (Parallel(4, "tensor"), 40),
    ],
)
def test_only_copies_see_batches_of_their_own(parallel: Parallel, steps: int) -> None:
    run = Run(examples=1280, epochs=1)
    setting = Setting("m", "full", "bf16", batch_size=4, gradient_accumulation=8, parallel=parallel, run=run)
    assert optimizer_steps(setting) == steps
