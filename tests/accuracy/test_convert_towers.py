"""Models with towers that a script loads by the class of the text alone."""

from __future__ import annotations

import pytest

from tests.accuracy.build import said
from toolkit.accuracy.convert.towers import TEXT_CLASSES, text_alone
from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model, model_from_config
from toolkit.memory.architecture import architecture_of

LOADED = "AutoModelForCausalLM.from_pretrained(dtype=torch.bfloat16)"


def test_the_class_of_the_text_alone_leaves_the_tower_out() -> None:
    """Qwen3.5 0.8B has 852,985,920 parameters, of them 752,393,024 of text: transformers 5.23's two classes on meta."""
    model = said(model="Qwen/Qwen3.5-0.8B", task="lora", notes=LOADED)["model"]
    assert model["architectures"] == ["Qwen3_5ForCausalLM"]
    whole = load_model("Qwen/Qwen3.5-0.8B")
    assert isinstance(whole, ModelFacts)
    assert architecture_of(whole).parameters == 852_985_920
    assert architecture_of(model_from_config(model, "text")).parameters == 752_393_024


def test_whoever_does_not_name_the_class_has_the_whole_model() -> None:
    for notes in ("SFTTrainer(model=name)", "not AutoModelForCausalLM but AutoModelForImageTextToText"):
        assert said(model="Qwen/Qwen3.5-0.8B", task="lora", notes=notes)["model"] == "Qwen/Qwen3.5-0.8B"
    assert said(model="google/gemma-3-4b-it", task="lora", notes=LOADED)["model"] == "google/gemma-3-4b-it"
    assert said(model="mistralai/Mistral-7B-v0.1", task="lora", notes=LOADED)["model"] == "mistralai/Mistral-7B-v0.1"


def _with_a_tower() -> list[str]:
    """The ids of known models whose text has a class of its own."""
    known = ((name, load_model(name)) for name in MODEL_IDS)
    return [name for name, facts in known if isinstance(facts, ModelFacts) and text_alone(facts.config)]


@pytest.mark.parametrize("name", _with_a_tower())
def test_each_texts_config_is_one_that_the_formulas_read(name: str) -> None:
    facts = load_model(name)
    assert isinstance(facts, ModelFacts)
    config = text_alone(facts.config)
    assert config is not None
    assert 0 < architecture_of(model_from_config(config, name)).parameters < architecture_of(facts).parameters


def test_the_classes_are_those_of_transformers() -> None:
    auto = pytest.importorskip("transformers.models.auto.modeling_auto")
    text, images = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    for whole, (kind, made) in TEXT_CLASSES.items():
        assert text[whole] == text[kind] == made != images[whole]
