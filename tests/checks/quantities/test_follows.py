"""Costs, times, amounts and ratios that follow from other printed figures; expected values by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import Judged, judged

FIGURES = {
    "price": "$2,000",
    "rate": "$4/hour",
    "rates": "$1.50-2.00/hour",
    "monthly": "$30/month",
    "time": "30 hours",
    "setup": "10 minutes",
    "epoch": "8-10 hours",
    "before": "50K",
    "after": "100K",
    "weights": "28 GB",
    "states": "56 GB",
}


def follows(folder: Path, text: str, claim: str) -> Judged:
    """A claim between bars, beside a list of figures that its formula may name."""
    listed = "".join(f"- {name}: |{figure}|\n" for name, figure in FIGURES.items())
    named = "".join(f'  {name}: "- {name}: |{{}}|"\n' for name in FIGURES)
    document = f"# Guide\n\nIt says |{text}| here.\n\n{listed}"
    return judged(folder, document, f'  - {{quote: "says |{{}}| here", {claim}}}', head=f"values:\n{named}")


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("$120", "quantity: cost, formula: rate * time", "agrees", "$120"),
        ("$130", "quantity: cost, formula: rate * time", "disagrees", "$120"),
        ("$100+", "quantity: cost, formula: rate * time", "agrees", "$120"),
        ("$140+", "quantity: cost, formula: rate * time", "disagrees", "$120"),
        # a bare number counts hours
        ("$120", "quantity: cost, formula: rate * 30", "agrees", "$120"),
        # 1.50 × 8 to 2.00 × 10
        ("$12-20", "quantity: cost, formula: rates * epoch", "agrees", "$12–20"),
        ("$10-30", "quantity: cost, formula: rates * epoch", "agrees", "$12–20"),
        ("$20-30", "quantity: cost, formula: rates * epoch", "depends", "$12–20"),
        ("$12", "quantity: cost, formula: rates * epoch", "depends", "$12–20"),
        ("$15", "quantity: cost, formula: rates * epoch", "depends", "$12–20"),
        ("$30-40", "quantity: cost, formula: rates * epoch", "disagrees", "$12–20"),
        ("$360", "quantity: cost, formula: monthly * 12", "agrees", "$360"),
        ("$4/hour", "quantity: cost, formula: price / time", "disagrees", "$66.67"),
        ("$96/day", "quantity: cost, formula: rate * 1", "agrees", "$96"),
        ("$90/day", "quantity: cost, formula: rate * 1", "disagrees", "$96"),
        # 10 minutes are within the rounding of hours: 24.17 to 30.17
        ("24-30 hours", "quantity: duration, formula: setup + 3 * epoch", "agrees", "24.17–30.17 h"),
        ("15-20 hours", "quantity: duration, formula: setup + 3 * epoch", "disagrees", "24.17–30.17 h"),
        ("24 hours", "quantity: duration, formula: setup + 3 * epoch", "depends", "24.17–30.17 h"),
        ("500 hours", "quantity: duration, formula: price / rate", "agrees", "20.83 days"),
        # 2 × 8 / 10 to 2 × 10 / 8
        ("2x", "quantity: speed_ratio, formula: after / before * (epoch / epoch)", "agrees", "1.6–2.5x"),
        ("3x", "quantity: speed_ratio, formula: after / before * (epoch / epoch)", "depends", "1.6–2.5x"),
        ("1.5-3x", "quantity: speed_ratio, formula: after / before * (epoch / epoch)", "agrees", "1.6–2.5x"),
        ("5x", "quantity: speed_ratio, formula: after / before * (epoch / epoch)", "disagrees", "1.6–2.5x"),
        ("+100%", "quantity: speed_ratio, formula: after / before - 1", "agrees", ""),
        ("+40%", "quantity: speed_ratio, formula: after / before - 1", "disagrees", ""),
        ("84 GB", "quantity: host_memory, formula: weights + states", "agrees", "84 GB"),
        ("96 GB", "quantity: host_memory, formula: weights + states", "disagrees", "84 GB"),
    ],
)
def test_what_follows_from_printed_figures(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = follows(tmp_path, text, claim).outcome
    assert outcome.verdict == verdict, outcome
    assert reason in outcome.reason
    assert (outcome.boundary is not None) is (verdict == "depends")
    assert (outcome.repair is None) is (verdict == "agrees")


def test_where_a_claim_that_depends_holds(tmp_path: Path) -> None:
    at_the_top = follows(tmp_path, "$20-30", "quantity: cost, formula: rates * epoch").outcome
    assert at_the_top.boundary == "true at the high end of $12–20"
    inside = follows(tmp_path, "$15", "quantity: cost, formula: rates * epoch").outcome
    assert inside.boundary == "true in the middle of $12–20"


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("$120", "quantity: cost, formula: time * 2"),
        ("$120", "quantity: cost, formula: monthly * time"),
        ("30 hours", "quantity: duration, formula: rate * time"),
        ("30 hours", "quantity: duration, formula: nothing * 2"),
    ],
)
def test_a_formula_of_another_kind_is_malformed(tmp_path: Path, text: str, claim: str) -> None:
    judged_one = follows(tmp_path, text, claim)
    assert judged_one.outcome.verdict == "unchecked"
    assert judged_one.outcome.malformed is not None
    assert judged_one.codes == ["D204"]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("3x", "agrees"), ("6x", "disagrees"), ("70%", "agrees"), ("20%", "disagrees")],
)
def test_a_ratio_of_speeds_between_two_printed_times(tmp_path: Path, text: str, verdict: str) -> None:
    """30 hours by 8 to 10 are 3 to 3.75, and 67 to 73 % less."""
    outcome = follows(tmp_path, text, "quantity: speed_ratio, from: time, to: epoch").outcome
    assert outcome.verdict == verdict, outcome
