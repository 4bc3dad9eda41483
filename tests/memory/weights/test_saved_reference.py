"""What peft copies of small models, against the counts of formulas: tied and untied, and found by an ending."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import peft

from tests.memory.architecture.reference import build
from tests.memory.architecture.samples import small_config
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import architecture_of
from toolkit.memory.weights.parameters import total_parameters, trainable_parameters
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

CASES = [
    ("llama", "causal-lm", ("q_proj",), ("embed_tokens", "lm_head")),
    ("llama", "causal-lm", ("q_proj",), ("norm",)),
    ("llama", "sequence-classification", ("q_proj",), ("embed_tokens",)),
    ("mistral", "causal-lm", ("q_proj", "up_proj"), ("mlp",)),
    ("mistral", "causal-lm", ("q_proj", "up_proj"), ("layers.1.mlp", "model.embed_tokens")),
    ("gemma2", "causal-lm", ("q_proj",), ("lm_head",)),
    ("gpt2", "causal-lm", ("c_attn",), ("wte", "lm_head")),
    ("qwen2_moe", "causal-lm", ("q_proj",), ("head",)),
    ("bert", "masked-lm", ("query",), ("decoder",)),
    ("roberta", "masked-lm", ("query",), ("lm_head",)),
    ("bert", "sequence-classification", ("query",), ("pooler", "word_embeddings")),
    ("t5", "causal-lm", ("q",), ("shared", "lm_head")),
]


@pytest.mark.parametrize(("model_type", "head", "targets", "saves"), CASES)
def test_copies_are_those_of_peft(model_type: str, head: str, targets: tuple[str, ...], saves: tuple[str, ...]) -> None:
    config, labels = small_config(model_type), 3 if "classification" in head else 0
    architecture = architecture_of(model_from_config(config, model_type), head, labels)
    task = "SEQ_CLS" if labels else None
    asked = peft.LoraConfig(r=4, target_modules=list(targets), modules_to_save=list(saves), task_type=task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(build(architecture.class_name, config, labels), asked)
    trainable, total = model.get_nb_trainable_parameters()
    setting = Setting("", "lora", "bf16", lora=Lora(4, targets=targets, modules_to_save=saves))
    assert trainable_parameters(architecture, setting) == trainable
    assert total_parameters(architecture, setting) == total
