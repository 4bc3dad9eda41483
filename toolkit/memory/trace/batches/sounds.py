"""What a model that hears is given in place of tokens: the bins of a sound's frames."""

from __future__ import annotations

from typing import Any

import torch

from toolkit.memory.trace.build import DTYPES
from toolkit.memory.weights.linear_storage import working_dtype
from toolkit.spec.settings.setting import Setting

SOUND = "input_features"
STRIDE = 2
"""Frames of which the convolutions make one position (modeling_whisper.py, WhisperEncoder)."""


def hears(model: Any) -> bool:
    """Whether a model's encoder reads a sound."""
    config = _inside(model).config
    return hasattr(config, "num_mel_bins") and hasattr(config, "max_source_positions")


def sound_of(setting: Setting, model: Any) -> torch.Tensor:
    """The bins of a batch of sounds, each of the length that the encoder expects, in the dtype of the weights."""
    config = _inside(model).config
    shape = (setting.batch_size, config.num_mel_bins, STRIDE * config.max_source_positions)
    return torch.zeros(shape, dtype=DTYPES[working_dtype(setting)], device=_inside(model).device)


def _inside(model: Any) -> Any:
    """The model, which DistributedDataParallel wraps."""
    return getattr(model, "module", model)
