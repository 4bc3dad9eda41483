"""The loss that a loop takes of what a model gives, outside the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def loss_of_logits(model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
    """Cross-entropy of logits in the dtype that the model gives them in: each position's foretell the next token.

    Labels never reach the model, and its result goes once there is the loss.
    """
    labels = inputs.pop("labels")
    result = model(**inputs)
    vocabulary = result.logits.shape[-1]
    return nn.functional.cross_entropy(result.logits[:, :-1].reshape(-1, vocabulary), labels[:, 1:].reshape(-1))
