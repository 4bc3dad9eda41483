"""What is said beside the rows of an estimate."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.spec.setting import Setting


def _said(model: str, **fields: object) -> list[str]:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    found = estimate(Setting(model, **{"weights": "bf16", **fields}), facts)  # type: ignore[arg-type]  # of a table
    return [note for note in found.notes if "positions" in note]


@pytest.mark.parametrize(
    ("model", "fields", "tokens"),
    [
        ("google-bert/bert-base-uncased", {"method": "full", "head": "masked-lm", "sequence_length": 513}, "513"),
        ("openai-community/gpt2", {"method": "full", "sequence_length": 1025}, "1,025"),
        ("openai-community/gpt2", {"method": "inference", "sequence_length": 1000, "generated_length": 25}, "1,025"),
    ],
)
def test_more_tokens_than_positions_are_told(model: str, fields: dict[str, object], tokens: str) -> None:
    """BERT has 512 positions and GPT-2 1,024, prompt and answer together: torch raises an IndexError past them."""
    (note,) = _said(model, **fields)
    assert note.startswith(f"{tokens} tokens are more than the ")


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "full", "sequence_length": 1024},
        {"method": "inference", "sequence_length": 1000, "generated_length": 24},
    ],
)
def test_as_many_tokens_as_positions_are_not(fields: dict[str, object]) -> None:
    assert not _said("openai-community/gpt2", **fields)


def test_models_without_a_last_position_have_none_to_pass() -> None:
    assert not _said("bigscience/bloom-560m", method="full", sequence_length=100_000)
