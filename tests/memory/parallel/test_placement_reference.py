"""Which layers land on which GPU, against accelerate and transformers on models without storage."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch
import transformers
from accelerate import infer_auto_device_map
from accelerate.utils import get_balanced_memory
from transformers.integrations import accelerate as own

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture import architecture_of
from toolkit.memory.parallel.placement import placement
from toolkit.spec.settings.setting import Parallel, Setting, Stack

pytestmark = pytest.mark.reference

ROOM = 1 << 50
BUFFERS = 1024
"""Bytes of rotary frequencies that the placement of libraries counts."""

MODELS = (
    "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen2.5-0.5B",
    "Qwen/Qwen3-8B",
    "EleutherAI/pythia-1b",
    "facebook/opt-1.3b",
    "tiiuae/falcon-7b",
    "microsoft/phi-2",
    "mistralai/Mixtral-8x7B-v0.1",
)


def built(facts: ModelFacts) -> Any:
    said = dict(facts.config)
    config = transformers.AutoConfig.for_model(said.pop("model_type"), **said)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.tie_weights()
    return model


def placed_by_accelerate(model: Any, gpus: int) -> tuple[int, dict[str, int]]:
    kept = list(model._no_split_modules)
    room = get_balanced_memory(model, dict.fromkeys(range(gpus), ROOM), kept, torch.bfloat16)
    found = infer_auto_device_map(model, room, kept, torch.bfloat16, clean_result=False)
    return room[0], {name: int(gpu) for name, gpu in found.items()}


def placed_by_transformers(model: Any, gpus: int) -> tuple[int, dict[str, int]]:
    kept = model._no_split_modules
    room = own.get_balanced_memory(model, dict.fromkeys(range(gpus), ROOM), kept)
    found = own.infer_auto_device_map(model, max_memory=room, no_split_module_classes=kept, clean_result=False)
    return room[0], {name: int(gpu) for name, gpu in found.items()}


def layers_of(where: dict[str, int], count: int) -> dict[int, int]:
    """The GPU of each layer; all layers may be placed at once."""
    for path, gpu in where.items():
        if path.endswith("layers"):
            return dict.fromkeys(range(count), gpu)
    return {int(name[1]): gpu for path, gpu in where.items() if (name := re.search(r"\.(\d+)$", path))}


@pytest.mark.parametrize("model", MODELS)
def test_layers_land_where_the_libraries_put_them(model: str) -> None:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    real = built(facts)
    for gpus in (2, 3, 5):
        for release, place in (("4.57.1", placed_by_accelerate), (transformers.__version__, placed_by_transformers)):
            setting = Setting(
                model,
                "inference",
                "bf16",
                parallel=Parallel(gpus, "pipeline"),
                stack=Stack("transformers", versions={"transformers": release}),
            )
            found = placement(architecture_of(facts, "causal-lm", 0), setting)
            share, where = place(real, gpus)
            layers = layers_of(where, facts.config["num_hidden_layers"])
            ours = {layer: stage.gpu for stage in found.stages for layer in range(stage.first, stage.end)}
            assert ours == layers
            assert 0 <= share - found.share <= BUFFERS
            head = next(gpu for path, gpu in where.items() if path == "lm_head")
            assert [stage.gpu for stage in found.stages if stage.projects] == [head]
