"""Ids of copies that bitsandbytes has quantized: the model that they are copies of, in NF4, and nothing that is not."""

from __future__ import annotations

import pytest

from toolkit.facts.four_bits import FOUR_BIT_COPIES, FOUR_BITS, MIXED
from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.facts.names import UnknownName
from toolkit.spec.settings.stored_form import stored_form

COUNTS = {  # as the makers' repositories are counted by the Hub
    "unsloth/Meta-Llama-3.1-8B-bnb-4bit": ("meta-llama/Llama-3.1-8B", 8_030_261_248),
    "unsloth/llama-3-70b-bnb-4bit": ("meta-llama/Meta-Llama-3-70B", 70_553_706_496),
    "google/gemma-2-2b-bnb-4bit": ("google/gemma-2-2b", 2_614_341_888),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_copy_has_the_parameters_of_the_other_and_is_stored_in_nf4(name: str) -> None:
    whole, parameters = COUNTS[name]
    facts, other = load_model(name), load_model(whole)
    assert isinstance(facts, ModelFacts)
    assert isinstance(other, ModelFacts)
    assert facts.verified_params == other.verified_params == parameters
    assert stored_form(facts.config) == "nf4"
    assert stored_form(other.config) != "nf4"
    assert facts.config_hash != other.config_hash
    assert {key: value for key, value in facts.config.items() if key != "quantization_config"} == other.config


def test_why_it_is_taken_for_the_other_is_told() -> None:
    facts = load_model("unsloth/Meta-Llama-3.1-8B-bnb-4bit")
    assert isinstance(facts, ModelFacts)
    assert facts.notes[-1] == "taken, by its name, for meta-llama/Llama-3.1-8B with its linear layers stored in NF4"


@pytest.mark.parametrize(
    "name",
    [
        "unsloth/Qwen3-8B-unsloth-bnb-4bit",  # some layers of which are in 16 bits: its config says which
        "somebody/unheard-of-bnb-4bit",
        "unsloth/Meta-Llama-3.1-8B-bnb-8bit",
        "-bnb-4bit",
    ],
)
def test_no_other_name_is_taken_for_a_known_one(name: str) -> None:
    assert isinstance(load_model(name), UnknownName)


def test_what_is_listed_is_a_copy_of_a_verified_model() -> None:
    assert set(FOUR_BIT_COPIES.values()) <= set(MODEL_IDS)
    assert all(name.endswith(FOUR_BITS) and not name.endswith(MIXED) for name in FOUR_BIT_COPIES)
