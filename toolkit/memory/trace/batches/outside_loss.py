"""The loss of a pass as a loop or a Trainer takes it: the model's own, or one of what a model gives."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.utils import convert_to_fp32
from torch import nn

from toolkit.memory.libraries.losses import held_result
from toolkit.memory.trace.refused import names_results, takes_logits
from toolkit.memory.weights.casts import widens_results
from toolkit.spec.fields.result import UNTIL_STEP
from toolkit.spec.settings.setting import Setting


def own_loss(setting: Setting, model: nn.Module, inputs: dict[str, Any], named: list[Any]) -> torch.Tensor:
    """The loss of a batch with labels; `named` has the results that the loop has a name for.

    accelerate makes float32 of all that a model gives which it runs under autocast.
    """
    held = held_result(setting, getattr(model, "module", model).config.model_type)  # DDP wraps it
    if held == UNTIL_STEP:
        named.clear()  # what the loop named of the step before
    if takes_logits(setting):
        return loss_of_logits(model, inputs, named if held else [])
    if names_results(setting) and setting.head == "causal-lm":
        inputs["use_cache"] = False
    result = model(**inputs)
    if widens_results(setting):
        result = convert_to_fp32(result)
    named[:] = [result] if names_results(setting) or held else []
    loss: torch.Tensor = result.loss
    return loss


def loss_of_logits(model: nn.Module, inputs: dict[str, Any], named: list[Any]) -> torch.Tensor:
    """Cross-entropy of logits in the dtype that the model gives them in: each position's foretell the next token.

    Labels never reach the model, and its result goes once there is the loss, unless it is still `named`.
    """
    labels = inputs.pop("labels")
    result = model(**inputs)
    named[:] = [result]
    vocabulary = result.logits.shape[-1]
    return nn.functional.cross_entropy(result.logits[:, :-1].reshape(-1, vocabulary), labels[:, 1:].reshape(-1))
