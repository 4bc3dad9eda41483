"""What is said beside the rows of an estimate."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.spec.settings.setting import Setting, Stack


def _said(model: str, word: str = "positions", **fields: object) -> list[str]:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    found = estimate(Setting(model, **{"weights": "bf16", **fields}), facts)  # type: ignore[arg-type]  # of a table
    return [note for note in found.notes if word in note]


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


READ = {"method": "inference", "weights": "nf4", "sequence_length": 16}


@pytest.mark.parametrize(
    ("model", "elements", "what"),
    [
        # Mixtral: 32 layers of 8 experts of three matrices of 4,096 x 14,336.
        ("mistralai/Mixtral-8x7B-v0.1", 32 * 8 * 3 * 4_096 * 14_336, "experts"),
        # Falcon: 32 layers of width 4,544 with one key-value head of 64, and a feed-forward of four widths.
        ("tiiuae/falcon-7b", 32 * 4_544 * (4_544 + 2 * 64 + 4_544 + 8 * 4_544), "linears of a class of their own"),
    ],
)
def test_what_bitsandbytes_does_not_quantize_is_told_where_it_is_much(model: str, elements: int, what: str) -> None:
    """transformers 5 replaces modules whose type is nn.Linear: neither 3-D parameters nor FalconLinear."""
    (note,) = _said(model, "stay in 16 bit", **READ)
    assert note.startswith(f"weights: {elements:,} of ")
    assert what in note


@pytest.mark.parametrize("model", ["mistralai/Mixtral-8x7B-v0.1", "tiiuae/falcon-7b"])
def test_before_transformers_5_it_was_quantized(model: str) -> None:
    assert not _said(model, "stay in 16 bit", **READ, stack=Stack(versions={"transformers": "4.45.2"}))


def test_heads_and_embeddings_in_16_bit_are_what_everybody_expects() -> None:
    assert not _said("meta-llama/Llama-3.1-8B", "stay in 16 bit", **READ)
    assert not _said("mistralai/Mixtral-8x7B-v0.1", "stay in 16 bit", **{**READ, "weights": "bf16"})
