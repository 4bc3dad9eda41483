"""A change between two scenarios: what is equal in both cancels out, and the rest is judged like any amount."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks.build import SCENARIOS, judged, outcome_of
from toolkit.checks.quantities.scenario_change import Amount, difference
from toolkit.quantity.interval import Interval

FROM_FP32 = "quantity: change, of: weights, from: qwen-fp32, to: qwen-bf16"
TRAINED = "quantity: change, of: trainable_parameters, from: qwen-lora16, to: qwen-lora8"
CACHE = "quantity: change, of: kv_cache, from: llama-bf16, scenario: llama-bf16, with: {batch_size: 2}"
ALLOCATED = "quantity: change, of: peak_memory, metric: allocated, from: llama-bf16, scenario: llama-bf16"


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 7,615,616,512 parameters of 4 bytes, then of 2
        ("|15.2 GB| less", FROM_FP32, "agrees", ""),
        ("|10 GB| less", FROM_FP32, "disagrees", "from qwen-fp32 to qwen-bf16, weights: less by 15"),
        ("|50%| less", FROM_FP32, "agrees", ""),
        ("|65-75%| less", FROM_FP32, "disagrees", ""),
        ("|2x| smaller", FROM_FP32, "agrees", ""),
        ("|3x| smaller", FROM_FP32, "disagrees", ""),
        ("|100%| more", "quantity: change, of: weights, from: qwen-bf16, to: qwen-fp32", "agrees", ""),
        # 32 layers × 2 × 8 heads × 128 × 2 bytes × 4,096 tokens = 536,870,912
        ("+0.54 GB", CACHE, "agrees", "with batch_size 2"),
        ("+0.4 GB", CACHE, "disagrees", ""),
        ("+0 MB", f"{ALLOCATED}, with: {{batch_size: 1}}", "agrees", "more by 0 bytes"),
        ("+50 MB", f"{ALLOCATED}, with: {{batch_size: 1}}", "disagrees", ""),
        # one more sequence adds its cache, and in a layer three streams of 14,336 × 2 bytes a token: 0.89 GB and more
        ("+1.0 GB", f"{ALLOCATED}, with: {{batch_size: 2}}", "agrees", ""),
        ("+0.54 GB", f"{ALLOCATED}, with: {{batch_size: 2}}", "disagrees", ""),
        # the context of any card is the same on both sides
        ("+0 MB", "quantity: change, of: peak_memory, from: llama-bf16, scenario: llama-bf16", "agrees", ""),
        ("+200 GB", "quantity: change, of: peak_memory, from: llama-bf16, scenario: llama-bf16", "disagrees", ""),
        # 131,072 bytes for each token of another sequence, and the length is open
        (
            "+0.54 GB",
            "quantity: change, of: kv_cache, from: llama-open, scenario: llama-open, with: {batch_size: 2}",
            "depends",
            "",
        ),
        # halving the rank halves each adapter
        ("|2x| fewer", TRAINED, "agrees", "trainable parameters: less by 2x"),
        ("|50%| fewer", TRAINED, "agrees", ""),
        ("|3x| fewer", TRAINED, "disagrees", ""),
        ("smaller", FROM_FP32, "agrees", "less by"),
        ("larger", FROM_FP32, "disagrees", "more by"),
        ("the best", f"{FROM_FP32}, subject: {{says: less}}", "agrees", ""),
        ("the best", f"{FROM_FP32}, subject: {{says: more}}", "disagrees", ""),
        ("|10 GB| less", "quantity: change, of: quality, from: qwen-fp32, to: qwen-bf16", "unchecked", "no change of"),
    ],
)
def test_scenario_change(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    """The text between bars is the claimed one; the words after it tell the direction."""
    before, slot, after = text.split("|") if "|" in text else ("", text, "")
    document = f"# G\n\nIt says {before}|{slot}|{after} here.\n"
    quote = f'quote: "says {before}|{{}}|{after} here"'
    scenarios = SCENARIOS.replace("llama-open: {", "llama-open: {batch_size: 1, ")
    scenarios += "  qwen-lora8: {extends: qwen-lora16, lora: {rank: 8, targets: all-linear}}\n"
    outcome = judged(tmp_path, document, f"  - {{{quote}, {claim}}}", scenarios=scenarios).outcome
    assert outcome.verdict == verdict, outcome
    assert reason in outcome.reason


def test_text_that_is_no_change_is_malformed(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, "the same", FROM_FP32, "unchecked").malformed is not None


@pytest.mark.parametrize("ends", ["from: qwen-fp32", "scenario: qwen-bf16", "to: qwen-bf16"])
def test_a_change_that_names_one_scenario_alone_is_unchecked(tmp_path: Path, ends: str) -> None:
    claim = f"quantity: change, of: weights, {ends}"
    assert "between which two scenarios" in outcome_of(tmp_path, "50% less", claim, "unchecked").reason


rows = st.dictionaries(st.sampled_from(["weights", "kv_cache", "activations"]), st.integers(0, 10**12))


@given(rows, rows, st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_way_back_is_the_opposite(first: dict[str, int], second: dict[str, int], one: int, two: int) -> None:
    before, after = Amount(first, (250, 1500), one), Amount(second, (300, 1200), two)
    there, back = difference(before, after), difference(after, before)
    assert there.low is not None
    assert there.high is not None
    assert back == Interval(-there.high, -there.low)


@given(rows)
def test_what_is_equal_on_both_sides_cancels_out(held: dict[str, int]) -> None:
    assert difference(Amount(held, (250, 1500)), Amount(held, (250, 1500))) == Interval.point(0)
