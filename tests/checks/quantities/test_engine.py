"""Claims about vLLM: a share of the card, whatever the model; what its parts are is not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import judge_text, judged
from toolkit.checks.judgement import Outcome

SCENARIOS = """\
  llama:
    model: meta-llama/Llama-3.1-8B-Instruct
    method: inference
    gpu: RTX 4090
    stack: {trainer: vllm}
  whole: {extends: llama, engine: {max_model_len: 131072}}
  short: {extends: llama, engine: {max_model_len: 4096}}
  tiny: {extends: llama, gpu: RTX 4070}
  qwen: {extends: llama, model: Qwen/Qwen2.5-3B-Instruct, weights: fp16}
  no-gpu: {extends: qwen, gpu: null}
"""


def outcome(folder: Path, text: str, claim: str, verdict: str) -> Outcome:
    found = judge_text(folder, text, claim, scenarios=SCENARIOS).outcome
    assert found.verdict == verdict, found
    return found


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 0.9 or 0.92 of 23.5 to 24 GiB, and CUDA graphs on top where the version is not known
        ("~7.5 GB", "quantity: peak_memory, scenario: qwen", "disagrees", "engine_pool"),
        ("22 GB", "quantity: peak_memory, scenario: qwen", "agrees", "engine_pool"),
        (
            "7.5 GB",
            "quantity: peak_memory, scenario: no-gpu",
            "unchecked",
            "vLLM takes a share of the card: name a GPU",
        ),
        # 3,085,938,688 parameters in 16 bit
        ("6.2 GB", "quantity: weights, scenario: no-gpu", "agrees", ""),
        ("12 GB", "quantity: kv_cache, scenario: qwen", "unchecked", "no formula for the profile run by which"),
        ("2 GB", "quantity: activations, scenario: qwen", "unchecked", "no formula for the profile run by which"),
    ],
)
def test_memory(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    assert reason in outcome(tmp_path, text, claim, verdict).reason


@pytest.mark.parametrize(
    ("text", "scenario", "verdict", "reason"),
    [
        # 15 GiB of weights and 16 GiB for a sequence of 131,072 tokens, on 24 GB
        ("fits", "whole", "disagrees", "vLLM needs at least 30.99 GiB: weights, and a sequence of 131,072 tokens"),
        ("does not fit", "whole", "agrees", "vLLM needs at least 30.99 GiB"),
        # whoever reads this may ask for shorter ones
        ("fits", "llama", "unchecked", "vLLM needs at least 14.99 GiB: weights; its share of GeForce RTX 4090 is"),
        ("does not fit", "llama", "unchecked", "what its profile run takes beside them is not modelled"),
        ("fits", "short", "unchecked", "what its profile run takes beside them is not modelled"),
        # 15 GiB of weights on 12 GB
        ("fits", "tiny", "disagrees", "vLLM needs at least 14.99 GiB: weights"),
    ],
)
def test_that_it_does_not_start_can_be_shown(
    tmp_path: Path, text: str, scenario: str, verdict: str, reason: str
) -> None:
    found = outcome(tmp_path, text, f"quantity: fits, scenario: {scenario}", verdict)
    assert reason in found.reason


def test_claims_about_several_cards_each_have_their_own_share(tmp_path: Path) -> None:
    found = judged(
        tmp_path,
        "# Guide\n\nIt takes 22 GB on one, and 74 GB on the other.\n",
        '  - {id: a, quote: "takes {22 GB} on one", quantity: peak_memory, scenario: qwen}\n'
        '  - {id: b, quote: "and {74 GB} on the other", quantity: peak_memory, scenario: qwen,\n'
        "     with: {gpu: H100 SXM5 80GB}}",
        scenarios=SCENARIOS,
    )
    assert [found.by_id(name).outcome.verdict for name in "ab"] == ["agrees", "agrees"]
