"""The optimizers of the scenario field, as their libraries make them, on meta tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.optimizers.bitsandbytes import (
    bitsandbytes_optimizer,
    is_of_bitsandbytes,
    managed_alone,
    on_meta,
)
from toolkit.memory.trace.optimizers.galore import groups_of, keywords, library_class, projectors
from toolkit.memory.trace.optimizers.muon import MuonAndAdamW, matrices_and_others
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.fields.names import GALORE
from toolkit.spec.settings.setting import Setting

RATE = 1e-4
MOMENTUM = 0.9
FUSED = frozenset({"adamw", "sgd", "sgd_momentum"})
"""Optimizers whose fused kernel writes in place and takes no memory; it is not run on meta tensors."""
EVERY_STEP = 1
"""GaLore's projectors are made anew in each step that is traced: as in the first, and as in one of many later ones."""


def optimizer_of(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]) -> Any:
    """The optimizer of a setting over the trained parameters of a model; None for none. Raises UnsupportedTrace."""
    if is_of_bitsandbytes(setting.optimizer):
        return bitsandbytes_optimizer(setting, model, parameters)
    if setting.optimizer in GALORE:
        return _galore(setting, model, parameters)
    if setting.optimizer == "muon":
        matrices, others = matrices_and_others(model, parameters)
        muon = [torch.optim.Muon(matrices, RATE)] if matrices else []
        return MuonAndAdamW(*muon, *([_adamw(setting, others)] if others else []))
    if setting.optimizer_implementation == "fused" and setting.optimizer in FUSED:
        return _adamw(setting, parameters) if setting.optimizer == "adamw" else _fused_sgd(setting, parameters)
    return of_torch(setting, parameters)


def of_torch(setting: Setting, parameters: Sequence[nn.Parameter], rate: float = RATE) -> Any:
    """An optimizer of torch, or transformers' Adafactor; None for none. Raises UnsupportedTrace."""
    form = setting.optimizer_implementation
    lists: dict[str, Any] = {"foreach": form == "foreach"}
    flags = {**lists, "fused": form == "fused"}
    match setting.optimizer:
        case "none":
            return None
        case "adamw":
            return torch.optim.AdamW(parameters, rate, **flags)
        case "sgd":
            return torch.optim.SGD(parameters, rate, **flags)
        case "sgd_momentum":
            return torch.optim.SGD(parameters, rate, MOMENTUM, **flags)
        case "rmsprop" if form != "fused":
            return torch.optim.RMSprop(parameters, rate, **lists)
        case "adagrad" if form != "fused":
            with torch.device("cpu"):  # where its counters are, which it reads; its sums are where the parameters are
                return torch.optim.Adagrad(parameters, rate, **lists)
        case "adafactor":
            from transformers import Adafactor

            return Adafactor(parameters, lr=rate, scale_parameter=False, relative_step=False)
    raise UnsupportedTrace(f"the optimizer {setting.optimizer} ({form}) is not traced yet")


def states_of(optimizer: Any) -> Iterator[object]:
    """Everything that an optimizer keeps of its parameters, one after another."""
    yield from chain.from_iterable(state.values() for state in optimizer.state.values())
    yield from projectors(optimizer.state)


def _galore(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]) -> Any:
    library = library_class(setting.optimizer)
    in_8_bit = setting.optimizer.endswith("_8bit")
    groups = groups_of(setting, model, parameters, EVERY_STEP)
    made = (on_meta(library) if in_8_bit else library)(groups, **keywords(setting, RATE))
    if in_8_bit:
        managed_alone(made)
        made.args.max_unorm = 0.0  # a norm for each tensor, which is read, where older releases clipped percentiles
    return made


def _adamw(setting: Setting, parameters: Sequence[nn.Parameter]) -> torch.optim.AdamW:
    form = setting.optimizer_implementation
    if form == "fused":
        return _FusedAdamW(parameters, lr=RATE)
    return torch.optim.AdamW(parameters, RATE, foreach=form == "foreach", fused=False)


def _fused_sgd(setting: Setting, parameters: Sequence[nn.Parameter]) -> torch.optim.SGD:
    return _FusedSGD(parameters, RATE, MOMENTUM if setting.optimizer == "sgd_momentum" else 0)


class _FusedSGD(torch.optim.SGD):
    """SGD whose fused kernel is not run: it writes in place, and keeps no more than its momentum."""

    def step(self, closure: Any = None) -> None:
        """Makes the momentum of the first step, if there is any; takes no memory besides."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"] if group["momentum"] else ():
                if parameter.grad is not None and not self.state[parameter]:
                    self.state[parameter]["momentum_buffer"] = torch.empty_like(parameter.grad)


class _FusedAdamW(torch.optim.AdamW):
    """AdamW whose fused kernel is not run: it writes in place and takes no memory beside the states."""

    def step(self, closure: Any = None) -> None:
        """Makes the states of the first step; later ones change nothing."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if parameter.grad is not None and not state:
                    state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_avg_sq"] = torch.zeros_like(parameter)
