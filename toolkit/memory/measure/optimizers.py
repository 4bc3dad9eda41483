"""The optimizers of the scenario field, as trainers make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.optimizers.bitsandbytes import arguments_of, is_of_bitsandbytes, overrides
from toolkit.memory.trace.optimizers.galore import groups_of, keywords, library_class
from toolkit.memory.trace.optimizers.make import of_torch
from toolkit.memory.trace.optimizers.muon import MuonAndAdamW, matrices_and_others
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.fields.names import GALORE
from toolkit.spec.settings.setting import Setting

RATE = 1e-5
STATES = {"adamw": 2, "lion": 1, "ademamix": 3}
"""Tensors of a parameter's shape that a paged optimizer keeps."""


def real_optimizer(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]) -> Any:
    """The optimizer of a setting over the trained parameters of a model; None for none. Raises UnsupportedTrace."""
    if is_of_bitsandbytes(setting.optimizer):
        return _of_bitsandbytes(setting, model, parameters)
    if setting.optimizer in GALORE and setting.galore is not None:
        groups = groups_of(setting, model, parameters, setting.galore.update_proj_gap)
        return library_class(setting.optimizer)(groups, **keywords(setting, RATE))
    if setting.optimizer == "muon":
        matrices, others = matrices_and_others(model, parameters)
        form = setting.optimizer_implementation
        muon = [torch.optim.Muon(matrices, RATE)] if matrices else []
        adamw = [torch.optim.AdamW(others, RATE, foreach=form == "foreach", fused=form == "fused")] if others else []
        return MuonAndAdamW(*muon, *adamw)
    return of_torch(setting, parameters, RATE)


def _refuse_more_than_free(parameters: Sequence[nn.Parameter], bytes_each: int) -> None:
    """Managed memory beyond what the card has free moves back and forth, and can hang the whole card."""
    needed = sum(parameter.numel() for parameter in parameters) * bytes_each
    if parameters and parameters[0].is_cuda and needed > torch.cuda.mem_get_info()[0]:
        raise UnsupportedTrace(f"{needed:,} bytes of paged states are more than the card has free: not measured")


def _of_bitsandbytes(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]) -> Any:
    import bitsandbytes as bnb

    name, said = arguments_of(setting.optimizer)
    if said.get("is_paged"):
        kept = STATES[setting.optimizer.removeprefix("paged_").removesuffix("_8bit")]
        _refuse_more_than_free(parameters, kept * said["optim_bits"] // 8)
    optimizer = getattr(bnb.optim, name)(parameters, lr=RATE, **said)
    if overrides(setting):
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                optimizer.mng.register_module_override(module, "weight", {"optim_bits": 32})
    return optimizer
