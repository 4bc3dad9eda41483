"""Tensors in the order in which transformers 5 loads them to a GPU: by name, layers by their numbers.

A model on meta tensors is made module by module, and quantized layers are put into it last. Which of its tensors lie
side by side decides what room is left where some of them are cast and let go.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SCALES = ("absmax", "code", "offset")
"""What lies beside a packed weight (bitsandbytes functional.py, QuantState)."""


def load_by_name(model: nn.Module) -> None:
    """Makes each tensor of a quantized model anew, in the order of names (core_model_loading.py, dot_natural_key)."""
    for _, weight in sorted(model.named_parameters(), key=lambda named: _natural(named[0])):
        weight.data = torch.empty_like(weight.data)
        state = getattr(weight, "quant_state", None)
        if state is not None:
            _make_anew(state)
        if getattr(weight, "SCB", None) is not None:  # of 8 bits, whose weight has a second name
            weight.CB, weight.SCB = weight.data, torch.empty_like(weight.SCB)


def _make_anew(state: Any) -> None:
    """The scales of a packed weight, and those of the scales."""
    for name in SCALES:
        if isinstance(kept := getattr(state, name, None), torch.Tensor):
            setattr(state, name, torch.empty_like(kept))
    if getattr(state, "state2", None) is not None:
        _make_anew(state.state2)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Numbers before words, and by their size."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in name.split(".")]
