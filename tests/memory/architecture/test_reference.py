from __future__ import annotations

from typing import Any

import pytest

from tests.memory.architecture.dense_samples import DENSE_VARIANTS
from tests.memory.architecture.encoder_samples import ENCODER_VARIANTS
from tests.memory.architecture.recurrent_samples import RECURRENT_VARIANTS
from tests.memory.architecture.reference import build, torch
from tests.memory.architecture.routed_samples import ROUTED_VARIANTS
from tests.memory.architecture.samples import TYPES, VARIANTS, small_config
from tests.memory.architecture.vision_samples import VISION_VARIANTS
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import FAMILIES, Architecture, ModuleKind, architecture_of

pytestmark = pytest.mark.reference

LABELS = 3

PUBLISHED_CASES = [
    pytest.param(model_type, {}, head, id=f"{model_type}-{head}")
    for model_type in TYPES
    for head in FAMILIES[model_type].classes
]
VARIANT_CASES = [
    pytest.param(model_type, changes, head, id=f"{model_type}-{'-'.join(changes)}-{head}")
    for model_type, changes in VARIANTS
    + DENSE_VARIANTS
    + ENCODER_VARIANTS
    + RECURRENT_VARIANTS
    + ROUTED_VARIANTS
    + VISION_VARIANTS
    for head in FAMILIES[model_type].classes
]


@pytest.mark.parametrize(("model_type", "changes", "head"), PUBLISHED_CASES + VARIANT_CASES)
def test_names_and_shapes_are_those_of_transformers(model_type: str, changes: dict[str, Any], head: str) -> None:
    config = small_config(model_type, changes)
    labels = LABELS if "classification" in head else 0
    architecture = architecture_of(model_from_config(config, model_type), head, labels)
    model = build(architecture.class_name, config, labels)

    every = {name: tuple(tensor.shape) for name, tensor in model.named_parameters(remove_duplicate=False)}
    own = named_shapes(architecture)
    assert own == {name: shape for name, shape in every.items() if name not in architecture.tied}
    assert set(architecture.tied) <= set(every)
    assert architecture.parameters == sum(tensor.numel() for tensor in model.parameters())
    assert_each_is_stored_once(own, model)
    assert_kinds(architecture, model)


def named_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    named = {}
    for module in architecture.modules:
        for path in module.paths():
            for tensor in module.tensors:
                name = f"{path}.{tensor.name}"
                assert name not in named
                named[name] = tensor.shape
    return named


def assert_each_is_stored_once(own: dict[str, tuple[int, ...]], model: Any) -> None:
    """Of parameters that share storage, exactly one is the owner."""
    owners: dict[int, list[str]] = {}
    for name, tensor in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(tensor), []).append(name)
    assert all(sum(name in own for name in names) == 1 for names in owners.values())


def assert_kinds(architecture: Architecture, model: Any) -> None:
    """Every linear, embedding and norm is known as one, and nothing else is."""
    real = dict(model.named_modules())
    ours = {path: module for module in architecture.modules for path in module.paths()}
    for path, module in ours.items():
        other = real[path]
        if module.kind in (ModuleKind.LINEAR, ModuleKind.HEAD):
            assert isinstance(other, torch.nn.Linear), path
            assert (module.in_features, module.out_features) == (other.in_features, other.out_features)
        elif module.kind is ModuleKind.CONV1D:
            assert type(other).__name__ == "Conv1D", path
            assert (module.in_features, module.out_features) == tuple(other.weight.shape)
        elif module.kind is ModuleKind.EMBEDDING:
            assert isinstance(other, torch.nn.Embedding), path
        elif module.kind is ModuleKind.NORM:
            assert "Norm" in type(other).__name__, path
    linears = {
        path
        for path, other in real.items()
        if isinstance(other, torch.nn.Linear | torch.nn.Embedding) or type(other).__name__ == "Conv1D"
    }
    assert linears <= set(ours)
