"""Adapters compared with those that peft makes on real models without storage."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.memory.architecture.reference import build
from tests.memory.architecture.samples import PUBLISHED, small_config
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import FAMILIES, Architecture, architecture_of
from toolkit.memory.architecture.heads import QUESTION, SEQUENCE, TOKENS
from toolkit.memory.weights.lora import match_targets
from toolkit.memory.weights.parameters import total_parameters, trainable_parameters
from toolkit.spec.settings.setting import Lora, Setting

peft = pytest.importorskip("peft")

pytestmark = pytest.mark.reference

LABELS = 3
RANK = 16
TASKS = {"causal-lm": "CAUSAL_LM", SEQUENCE: "SEQ_CLS", TOKENS: "TOKEN_CLS", QUESTION: "QUESTION_ANS"}

KINDS = ("", "embedding_")
SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NAMED = [
    ("llama", "causal-lm", SEVEN),
    ("llama", "causal-lm", ("embed_tokens", "lm_head")),
    ("llama", "causal-lm", ("model.layers.1.self_attn.q_proj", "mlp.down_proj", "0.self_attn.v_proj")),
    ("llama", SEQUENCE, ("q_proj", "score")),
    ("gpt2", "causal-lm", ("c_attn", "c_proj", "wte")),
    ("gpt2", "causal-lm", ("attn.c_proj",)),
    ("gpt_neox", "causal-lm", ("query_key_value",)),
    ("gpt_oss", "causal-lm", SEVEN),
    ("mixtral", "causal-lm", ("q_proj", "w1", "w2", "w3")),
    ("mixtral", "causal-lm", ("q_proj", "gate", "experts.w2")),
    ("qwen3_moe", "causal-lm", SEVEN),
    ("deepseek_v2", "causal-lm", ("kv_b_proj", "o_proj", "gate_proj", "up_proj", "gate")),
    ("deepseek_v3", "causal-lm", ("q_a_proj", "down_proj")),
    ("gemma3", "causal-lm", ("q_proj", "patch_embedding")),
    ("opt", "causal-lm", ("project_in", "project_out", "fc1", "lm_head")),
    ("phi3", "causal-lm", SEVEN),
    ("falcon", "causal-lm", ("query_key_value", "dense")),
    ("bloom", "causal-lm", ("dense",)),
    ("t5", "causal-lm", ("q", "v", "wo")),
    ("t5", SEQUENCE, ("q", "dense", "out_proj")),
    ("bert", SEQUENCE, ("query", "dense", "classifier")),
    ("bert", QUESTION, ("query", "dense")),
    ("roberta", SEQUENCE, ("query", "dense")),
    ("roberta", "masked-lm", ("dense", "decoder")),
    ("distilbert", SEQUENCE, ("q_lin", "v_lin")),
    ("deberta", SEQUENCE, ("in_proj", "pos_proj", "dense")),
    ("deberta-v2", SEQUENCE, ("query_proj", "value_proj", "dense")),
]
# peft makes adapters of these classifiers under "all-linear", and then fails to train them in full.
FAILING = {("distilbert", SEQUENCE)} | {(model_type, head) for model_type in PUBLISHED for head in (QUESTION, TOKENS)}
EVERYTHING = [
    (model_type, head, "all-linear")
    for model_type in PUBLISHED
    for head in FAMILIES[model_type].classes
    if (model_type, head) not in FAILING
]


@pytest.mark.parametrize(("model_type", "head", "targets"), NAMED + EVERYTHING)
def test_adapters_are_those_of_peft(model_type: str, head: str, targets: str | tuple[str, ...]) -> None:
    config = small_config(model_type)
    labels = LABELS if "classification" in head else 0
    architecture = architecture_of(model_from_config(config, model_type), head, labels)
    model = adapted(architecture, config, labels, targets)

    real = sorted(shape for shape in adapter_shapes(model))
    ours = [
        (path, *adapter.shapes(RANK))
        for adapter in match_targets(architecture, targets).adapters
        for path in adapter.module.paths()
    ]
    assert sorted(ours) == real
    setting = Setting("", "lora", "bf16", lora=Lora(RANK, targets=targets))
    trainable, total = model.get_nb_trainable_parameters()
    assert trainable_parameters(architecture, setting) == trainable
    assert total_parameters(architecture, setting) == total


def adapted(architecture: Architecture, config: dict[str, Any], labels: int, targets: str | tuple[str, ...]) -> Any:
    model = build(architecture.class_name, config, labels)
    settings = peft.LoraConfig(
        r=RANK,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type=TASKS.get(architecture.head),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peft.get_peft_model(model, settings)


def adapter_shapes(model: Any) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Each adapted module or fused parameter with the shapes of its matrices A and B."""
    shapes = []
    for path, module in model.base_model.model.named_modules():
        pairs = [(getattr(module, f"lora_{prefix}A", {}), getattr(module, f"lora_{prefix}B", {})) for prefix in KINDS]
        for a, b in pairs:
            if "default" not in a:
                continue
            name = path.replace(".base_layer", "")
            if module.__class__.__name__ == "ParamWrapper" and module.parameter_name != "weight":
                name += f".{module.parameter_name}"
            shapes.append((name, matrix(a["default"]), matrix(b["default"])))
    return shapes


def matrix(part: Any) -> tuple[int, int]:
    """The shape of a matrix, a convolution's kernel counted into the inputs."""
    weight = getattr(part, "weight", part)
    return weight.shape[0], weight.numel() // weight.shape[0]
