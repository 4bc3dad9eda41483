"""A cache that a model fills as it trains, and the script that turns it off, against sizes by hand and a trace.

Mistral 7B: 32 layers with 8 key-value heads of 128. GPT-2: 12 layers of width 768.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.spec import decide, scenario_from_flags
from toolkit.spec.settings.setting import Setting, Stack

MISTRAL, GPT2 = "mistralai/Mistral-7B-v0.1", "openai-community/gpt2"
TOKENS = 4 * 2048


def saved(model: str, stack: Stack, checkpointing: str = "false") -> int:
    """The bytes by which a peak is lower where the script turns the cache off."""
    found = load_model(model)
    assert isinstance(found, ModelFacts)
    peaks = [
        estimate(
            Setting(
                model, "full", "bf16", batch_size=4, sequence_length=2048, stack=stack, uncached=uncached,
                gradient_checkpointing=checkpointing,
            ),
            found,
        ).allocated
        for uncached in (False, True)
    ]  # fmt: skip
    return peaks[0] - peaks[1]


def older(trainer: str) -> Stack:
    return Stack(trainer, versions={"transformers": "4.46.3"})


@pytest.mark.parametrize("trainer", ["plain", "transformers"])
def test_keys_and_values_of_every_layer_are_not_kept(trainer: str) -> None:
    """Beside those that are repeated for every query head, which autograd saves."""
    assert saved(MISTRAL, older(trainer)) == 32 * 2 * TOKENS * 8 * 128 * 2


def test_keys_and_values_of_a_newer_loop_are_copies() -> None:
    assert saved(GPT2, Stack("plain")) == pytest.approx(12 * 2 * TOKENS * 768 * 2, rel=0.01)


@pytest.mark.parametrize(
    ("stack", "checkpointing"), [(older("transformers"), "reentrant"), (Stack("transformers"), "false")]
)
def test_checkpoints_and_newer_trainers_keep_none_anyway(stack: Stack, checkpointing: str) -> None:
    assert saved(MISTRAL, stack, checkpointing) == 0


def test_a_scenario_says_so() -> None:
    flags = {"model": MISTRAL, "method": "full", "weights": "bf16"}
    told = []
    for said in ({}, {"use_cache": "false"}):
        scenario, findings = scenario_from_flags({**flags, **said}, Path())
        assert scenario is not None
        assert not findings
        told.append(decide(scenario, {}).uncached)
    assert told == [False, True]
    _, findings = scenario_from_flags({**flags, "use_cache": "true"}, Path())
    assert [one.code for one in findings] == ["S113"]
    _, findings = scenario_from_flags({**flags, "method": "inference", "use_cache": "false"}, Path())
    assert [one.code for one in findings] == ["S113"]
