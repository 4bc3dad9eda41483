"""Muon for the matrices of hidden layers, and AdamW for all else: two optimizers that step as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

HEADS = ("lm_head", "score", "classifier")
"""Names of output layers that a model does not tell by get_output_embeddings."""
COPIES = "modules_to_save"
"""Where peft keeps the copies that it trains of output layers."""


def matrices_and_others(
    model: nn.Module, parameters: Sequence[nn.Parameter]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters that Muon updates, and those left to AdamW: embeddings, output layers, what is no matrix."""
    kept = {id(weight) for name, module in model.named_modules() for weight in _left_to_adamw(model, name, module)}
    matrices = [one for one in parameters if one.dim() == 2 and id(one) not in kept]
    chosen = {id(one) for one in matrices}
    return matrices, [one for one in parameters if id(one) not in chosen]


def _left_to_adamw(model: nn.Module, name: str, module: nn.Module) -> Sequence[nn.Parameter]:
    outputs = getattr(model, "get_output_embeddings", lambda: None)()
    is_head = module is outputs or name.rsplit(".", 1)[-1] in HEADS or COPIES in name
    return list(module.parameters()) if is_head or isinstance(module, nn.Embedding) else []


class MuonAndAdamW:
    """Two optimizers that step one after the other."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def state(self) -> Mapping[Any, Mapping[str, Any]]:
        """The states of both."""
        return {parameter: state for part in self.parts for parameter, state in part.state.items()}

    def step(self) -> None:
        """Steps both."""
        for part in self.parts:
            part.step()

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Ends all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)
