"""Every verified model is counted to the unit, with every head that somebody counted."""

from __future__ import annotations

import re

import pytest

from tests.memory.architecture.samples import facts_of
from toolkit.facts.models import MODEL_IDS, ModelFacts
from toolkit.memory.architecture import FAMILIES, SAME_CODE, Architecture, architecture_of

CLASS = re.compile(r"(\w+)(?:\(num_labels=(\d+)\))?")


def by_class(facts: ModelFacts, name: str) -> Architecture:
    """The architecture of a class as the records name it."""
    matched = CLASS.fullmatch(name)
    assert matched is not None
    model_type = facts.config["model_type"]
    classes = FAMILIES[SAME_CODE.get(model_type, model_type)].classes
    head = next(head for head, class_name in classes.items() if class_name == matched[1])
    return architecture_of(facts, head, int(matched[2] or 0))


@pytest.mark.parametrize("model_id", MODEL_IDS)
def test_counts_equal_the_verified_ones(model_id: str) -> None:
    facts = facts_of(model_id)
    if facts.config["model_type"] == "qwen":
        assert architecture_of(facts).parameters == facts.verified_params
        return
    counted = {name: by_class(facts, name).parameters for name in facts.params_by_class}
    assert counted == facts.params_by_class
    assert facts.verified_params in counted.values()


@pytest.mark.parametrize("size", ["4b", "12b", "27b"])
def test_the_text_part_of_gemma_3(size: str) -> None:
    text = facts_of(f"google/gemma-3-{size}-pt").text_only
    assert text is not None
    assert architecture_of(text).parameters == text.verified_params


def test_a_checkpoint_may_store_tied_weights_twice() -> None:
    facts = facts_of("tiiuae/falcon-7b")
    architecture = architecture_of(facts)
    assert architecture.tied == ("lm_head.weight",)
    assert architecture.parameters + architecture.hidden * architecture.vocabulary == 7_217_189_760
