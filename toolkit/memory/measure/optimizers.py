"""The optimizers of the scenario field, as trainers make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.bitsandbytes_optimizers import IN_8_BIT, IN_32_BIT, OVERRIDING
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.setting import Setting

RATE = 1e-5


def real_optimizer(
    setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]
) -> torch.optim.Optimizer | None:
    """The optimizer of a setting over the trained parameters of a model. Raises UnsupportedTrace."""
    if setting.optimizer in IN_8_BIT | IN_32_BIT:
        return _of_bitsandbytes(setting, model, parameters)
    form = setting.optimizer_implementation
    flags: dict[str, Any] = {"foreach": form == "foreach", "fused": form == "fused"}
    match setting.optimizer:
        case "none":
            return None
        case "adamw":
            return torch.optim.AdamW(parameters, RATE, **flags)
        case "sgd":
            return torch.optim.SGD(parameters, RATE, **flags)
        case "adafactor":
            from transformers import Adafactor

            return Adafactor(parameters, lr=RATE, scale_parameter=False, relative_step=False)
    raise UnsupportedTrace(f"the optimizer {setting.optimizer} ({form}) is not measured yet")


def _refuse_more_than_free(parameters: Sequence[nn.Parameter], bytes_each: int) -> None:
    """Managed memory beyond what the card has free moves back and forth, and can hang the whole card."""
    needed = sum(parameter.numel() for parameter in parameters) * bytes_each
    if parameters and parameters[0].is_cuda and needed > torch.cuda.mem_get_info()[0]:
        raise UnsupportedTrace(f"{needed:,} bytes of paged states are more than the card has free: not measured")


def _of_bitsandbytes(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]) -> Any:
    import bitsandbytes as bnb

    library = bnb.optim.Lion if setting.optimizer == "lion" else bnb.optim.AdamW
    bits = 8 if setting.optimizer in IN_8_BIT else 32
    paged = setting.optimizer.startswith("paged_")
    if paged:
        _refuse_more_than_free(parameters, 2 if bits == 8 else 8)
    optimizer = library(parameters, lr=RATE, optim_bits=bits, is_paged=paged)
    if bits == 8 and setting.stack.trainer in OVERRIDING:
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                optimizer.mng.register_module_override(module, "weight", {"optim_bits": 32})
    return optimizer
