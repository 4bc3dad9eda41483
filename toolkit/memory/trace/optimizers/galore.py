"""galore_torch's optimizers, over the groups that transformers makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.settings.setting import Setting

CLASSES: Mapping[str, str] = {
    "galore_adamw": "GaLoreAdamW", "galore_adamw_8bit": "GaLoreAdamW8bit", "galore_adafactor": "GaLoreAdafactor",
}  # fmt: skip
SCALE, TYPE = 0.25, "std"
"""transformers' defaults (trainer_optimizer.py, _get_galore_optimizer)."""


def library_class(optimizer: str) -> type[Any]:
    """The library's class of an optimizer. Raises UnsupportedTrace where it is not installed."""
    if find_spec("galore_torch") is None:
        raise UnsupportedTrace(f"the optimizer {optimizer} is galore_torch's, which is not installed")
    made: type[Any] = getattr(import_module("galore_torch"), CLASSES[optimizer])
    return made


def keywords(setting: Setting, rate: float) -> dict[str, Any]:
    """What transformers gives an optimizer beside its groups."""
    said: dict[str, Any] = {"lr": rate}
    if setting.optimizer == "galore_adafactor":
        said |= {"scale_parameter": False, "relative_step": False}
    return said


def groups_of(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter], gap: int) -> list[dict[str, Any]]:
    """What is not projected, then what is, in the order of the model's parameters."""
    galore = setting.galore
    if galore is None:
        raise UnsupportedTrace(f"the optimizer {setting.optimizer} is for method full")
    projected = {id(weight) for weight in _targets(model, galore.targets)}
    others = [one for one in parameters if id(one) not in projected]
    mine = [one for one in parameters if id(one) in projected]
    if not mine:
        raise UnsupportedTrace("no linear layer has one of galore's targets in its name")
    beside = {"rank": galore.rank, "update_proj_gap": gap, "scale": SCALE, "proj_type": TYPE}
    return [{"params": others}, {"params": mine, **beside}]


def _targets(model: nn.Module, targets: str | tuple[str, ...]) -> Iterator[nn.Parameter]:
    """The weights of linear layers with a target in their names; one that is an embedding's has that one's name."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    for name, module in model.named_modules():
        named = targets == "all-linear" or any(part in name for part in targets)
        if isinstance(module, nn.Linear) and named and id(module.weight) not in tables:
            yield module.weight


def projectors(states: Mapping[Any, Mapping[str, Any]]) -> Iterator[torch.Tensor]:
    """The tensors of the projectors among an optimizer's states."""
    for state in states.values():
        made = getattr(state.get("projector"), "ortho_matrix", None)
        if isinstance(made, torch.Tensor):
            yield made
