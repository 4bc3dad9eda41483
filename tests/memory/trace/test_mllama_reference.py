"""Llama 3.2 Vision on text alone: layers that attend to images weigh, and nothing passes through them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.architecture.samples import small_config
from tests.memory.trace.agree import agree_on
from tests.memory.trace.methods import METHODS
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Validation

pytestmark = pytest.mark.reference

FAMILY = "mllama"


def _model() -> ModelFacts:
    """By the class that its config names: AutoModelForCausalLM leaves out the tower."""
    config = small_config(FAMILY)
    text = {**config["text_config"], "vocab_size": 2000}
    named = {"architectures": ["MllamaForConditionalGeneration"], "text_config": text}
    return model_from_config({**config, **named}, FAMILY)


def _setting(method: str, **more: Any) -> Setting:
    return replace(Setting(**{"model": FAMILY, "batch_size": 2, "sequence_length": 512, **METHODS[method]}), **more)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_it_generates(attention: str) -> None:
    agree_on(_setting("inference", attention=attention), _model(), peak=0.0005, elsewhere=0.002)


@pytest.mark.parametrize("checkpointing", ["false", "reentrant"])
def test_adapters_are_trained(checkpointing: str) -> None:
    """Those of layers that text passes by get no gradient, and are counted all the same."""
    more = {"lora": Lora(8, 16, ("q_proj", "v_proj")), "gradient_checkpointing": checkpointing}
    agree_on(_setting("lora", **more), _model(), peak=0.008, elsewhere=0.02)


def test_an_evaluation_fills_its_cache_although_a_trainer_turns_it_off() -> None:
    """Nothing tells its text model, whose own config says use_cache."""
    more = {"lora": Lora(8, 16, ("q_proj", "v_proj")), "validation": Validation(16, 512)}
    agree_on(_setting("lora", **more), _model(), peak=0.002, elsewhere=0.02)


@pytest.mark.parametrize(
    ("method", "more", "reason"),
    [("full", {}, "except with adapters"), ("lora", {"parallel": Parallel(2, "ddp")}, "except with one GPU")],
)
def test_what_is_not_followed_is_refused_by_name(method: str, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        estimate(_setting(method, **more), _model())
