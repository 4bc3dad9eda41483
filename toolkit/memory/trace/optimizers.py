"""The optimizers of the scenario field, as their libraries make them, on meta tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.bitsandbytes_optimizers import IN_8_BIT, IN_32_BIT, bitsandbytes_optimizer
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.setting import Setting

RATE = 1e-4


def optimizer_of(
    setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]
) -> torch.optim.Optimizer | None:
    """The optimizer of a setting over the trained parameters of a model. Raises UnsupportedTrace."""
    if setting.optimizer in IN_8_BIT | IN_32_BIT:
        optimizer: torch.optim.Optimizer = bitsandbytes_optimizer(setting, model, parameters)
        return optimizer
    form = setting.optimizer_implementation
    flags: dict[str, Any] = {"foreach": form == "foreach", "fused": form == "fused"}
    match setting.optimizer:
        case "none":
            return None
        case "adamw":
            return _FusedAdamW(parameters, lr=RATE) if form == "fused" else torch.optim.AdamW(parameters, RATE, **flags)
        case "sgd":
            return _FusedSGD(parameters, RATE) if form == "fused" else torch.optim.SGD(parameters, RATE, **flags)
        case "adafactor":
            from transformers import Adafactor

            return Adafactor(parameters, lr=RATE, scale_parameter=False, relative_step=False)
    raise UnsupportedTrace(f"the optimizer {setting.optimizer} ({form}) is not traced yet")


class _FusedSGD(torch.optim.SGD):
    """SGD without momentum whose fused kernel is not run: it writes in place and keeps nothing."""

    def step(self, closure: Any = None) -> None:
        """Takes no memory."""
        assert closure is None


class _FusedAdamW(torch.optim.AdamW):
    """AdamW whose fused kernel is not run: it writes in place and takes no memory beside the states."""

    def step(self, closure: Any = None) -> None:
        """Makes the states of the first step; later ones change nothing."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if parameter.grad is not None and not state:
                    state["step"] = torch.zeros((), dtype=torch.float32)
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_avg_sq"] = torch.zeros_like(parameter)
