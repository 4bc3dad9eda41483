"""Printed arithmetic. It depends on nothing open: one reading of GB under which it is right is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import judged, outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("28 + 28 + 56 + 8 + 4 = ~124 GB", "", "agrees", "124 GB"),
        ("14 + 14 + 56 + 6 + 4 = ~94 GB", "", "agrees", "94 GB"),
        # 5 terms off by a half each reach 126.5; 134 less 5 % is 127.3
        ("28 + 28 + 56 + 8 + 4 = ~134 GB", "", "disagrees", "124 GB"),
        ("7B params × 4 bytes = **28 GB**", "", "agrees", "28 GB"),
        # 7.49 billion print as 7B, and 29.97 GB as 30 GB
        ("7B × 4 bytes = 30 GB", "", "agrees", "28 GB; within the rounding"),
        ("7B × 4 bytes = 31 GB", "", "disagrees", "28 GB"),
        # parameters times bytes, the bytes unsaid
        ("7B × 2 = 14 GB", "", "agrees", "14 GB"),
        ("7B × 2 = 16 GB", "", "disagrees", "14 GB"),
        ("1,120,000,000 / 1,073,741,824 ≈ 1.04 GiB", "", "agrees", "1.04 GiB"),
        # divided by the unit itself
        ("1,120,000,000 bytes / 1,073,741,824 ≈ 1.04 GiB", "", "agrees", "1.04 GiB"),
        ("1,120,000,000 bytes / 1,073,741,824 ≈ 1.14 GiB", "", "disagrees", "1.04 GiB"),
        # 15,231,233,024 / 2^30 = 14.185
        ("7,615,616,512 × 2 bytes / 1024 / 1024 / 1024 = 14.19 GB", "", "agrees", "14.19 GiB"),
        ("(0.5B × 2) + 0.5GB = 1.5GB", "", "agrees", "1.5 GB"),
        # low: up to 4.165 + 3.5 = 7.665 meets 7.5; high: up to 4.165 + 6.5 = 10.665 misses 12 less 5 % = 11.4
        ("4.16 GiB + 3–6 GiB = ~8–12 GiB", "", "disagrees", "7.16–10.16 GiB"),
        # 10.665 meets 11 less 5 % = 10.45
        ("4.16 GiB + 3–6 GiB = ~8–11 GiB", "", "agrees", "within the rounding"),
        ("4.16 GiB + 3–6 GiB = 7–10 GiB", "", "agrees", ""),
        ("100,000 × 200 = 20 million", "", "agrees", ""),
        ("80% of 400 = 320", "", "agrees", "320"),
        ("80% of 400 = 340", "", "disagrees", "320"),
        ("320 / 400 = 80%", "", "agrees", "80 %"),
        ("75 - 69 = 6%", "", "agrees", "6 %"),
        # a difference although it looks like a range
        ("1 - 60% = 40%", "", "agrees", "40 %"),
        ("24 GB + 20% = 28.8 GB", "", "agrees", "28.8 GB"),
        ("24 GB + 20% = 24.2 GB", "", "disagrees", "28.8 GB"),
        # whole numbers without units were not rounded
        ("2 + 2 = 5", "", "disagrees", "4"),
        ("320 + 80 = 401", "", "disagrees", "400"),
        # 2.4 + 2.4 = 4.8
        ("2 GB + 2 GB = 5 GB", "", "agrees", "within the rounding"),
        ("2 GB + 2 GB = 5 GB", "subject: {terms: printed}", "disagrees", "4 GB"),
        ("2 GB + 2 GB = 4 GB", "subject: {terms: printed}", "agrees", "4 GB"),
        # 112 give or take 3 halves ends where the 113.5 that print as 114 begin
        ("28 + 28 + 56 = 114 GB", "", "disagrees", "112 GB"),
        ("28 GB + 28 GB + 56 GB = 114 GB", "", "disagrees", "112 GB"),
        ("28 + 28 + 56 = 113 GB", "", "agrees", "112 GB; within the rounding"),
        ("28 + 28 + 56 = ~114 GB", "", "agrees", "112 GB"),
        # in a product of them 16 and 8 are counted: 128 + 4
        ("16 × 8 + 4 = 140 GB", "", "disagrees", "132 GB"),
        # money for a time: a bare number counts what it is paid for
        ("$1.50-2.00/hour × 10 hours = $15-20", "", "agrees", "$15–20"),
        ("$1.50-2.00/hour × 10 hours = $20-30", "", "disagrees", "$15–20"),
        ("$4/hour × 30 = $120", "", "agrees", "$120"),
        ("$4/hour × 30 minutes = $2", "", "agrees", "$2"),
        ("$4/hour × 30 minutes = $120", "", "disagrees", "$2"),
        ("2 GPUs × $4/hour = $8/hour", "", "agrees", "$8"),
        ("$96/day = $4/hour", "", "agrees", "$4"),
        ("$96/day = $8/hour", "", "disagrees", "$4"),
        ("$120 / 30 hours = $4/hour", "", "agrees", "$4"),
        ("$120 / $4/hour = 30 hours", "", "agrees", "30 h"),
        ("$120 / $4/hour = 40 hours", "", "disagrees", "30 h"),
        ("1 hour + 30 minutes + 3 hours + 1 hour = 5.5 hours", "", "agrees", ""),
        ("2/3 = 66%", "", "disagrees", "66.67 %"),
        ("1.5 × 2 = 3 = 4", "", "disagrees", ""),
        ("320 examples × 3 epochs = 960 training steps", "", "agrees", "960"),
        # 28 × 10^9 / 2^30 = 26.077
        ("28 GB = 26.08 GiB", "", "agrees", ""),
    ],
)
def test_arithmetic(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: arithmetic, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["2 + 2", "= 4", "28 and 28", "1/0 = 3", "2 GB + 3 hours = 5"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: arithmetic", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed


def test_a_formula_over_values_of_the_document(tmp_path: Path) -> None:
    """320 of 400 are 80 %."""
    for printed, verdict in (("80%", "agrees"), ("75%", "disagrees")):
        document = f"# G\n\nOf 400 there are 320 for training, {printed} of them.\n"
        head = 'values:\n  all: "Of {} there"\n  some: "are {} for"\n'
        claim = '  - {quantity: arithmetic, quote: "training, {} of", formula: some / all}'
        assert judged(tmp_path, document, claim, head=head).outcome.verdict == verdict


def test_a_bare_number_stands_for_bytes(tmp_path: Path) -> None:
    """280,000,000 × 4 bytes, printed before it is divided: digits alone mean bytes, and never GB."""
    for printed, verdict in (("1,120,000,000", "agrees"), ("1,200,000,000", "disagrees"), ("1.12", "disagrees")):
        document = f"# G\n\nOf 280,000,000 at 4 bytes each there are {printed} in all.\n"
        head = 'values:\n  all: "Of {} at"\n  each: "at {} each"\n'
        claim = '  - {quantity: arithmetic, quote: "are {} in all", formula: all * each}'
        assert judged(tmp_path, document, claim, head=head).outcome.verdict == verdict


def test_a_formula_may_subtract(tmp_path: Path) -> None:
    document = "# G\n\nOf 400 there are 80 for validation and 325 for training.\n"
    head = 'values:\n  all: "Of {} there"\n  some: "are {} for"\n'
    claim = '  - {quantity: arithmetic, quote: "and {} for training", formula: all - some}'
    outcome = judged(tmp_path, document, claim, head=head).outcome
    assert (outcome.verdict, outcome.repair) == ("disagrees", "print 320")


def test_a_declared_reading_decides(tmp_path: Path) -> None:
    """28 GB are 26.08 GiB of 2^30 bytes, if a GB is 10^9 bytes; if it is 2^30, they are 28."""
    units = 'units: {GB: %s, quote: "It says"}\n'
    claim = "quantity: arithmetic"
    outcome_of(tmp_path, "28 GB = 26.08 GiB", claim, "agrees", head=units % "decimal")
    outcome_of(tmp_path, "28 GB = 26.08 GiB", claim, "disagrees", head=units % "binary")
