"""What the first DeBERTa's code (modeling_deberta.py) needs to run on tensors without storage, and in 16 bit at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import nn

DEBERTA = "deberta"
"""Its model type."""
BIASES = ("q_bias", "v_bias")


@contextmanager
def spans_counted(model_type: object) -> Iterator[None]:
    """How far it attends (compute_attention_span) is a number here: it makes a tensor on the CPU, and cuts by that."""
    if model_type != DEBERTA:
        yield
        return
    code: Any = import_module("transformers.models.deberta.modeling_deberta")
    before = getattr(code, "compute_attention_span", None)
    if before is None:  # a release whose code counts by numbers
        yield
        return
    code.compute_attention_span = _span
    try:
        yield
    finally:
        code.compute_attention_span = before


def _span(query: Any, key: Any, furthest: int) -> int:
    """The longer of queries and keys, at most as far as there are relative positions."""
    return min(max(query.size(-2), key.size(-2)), furthest)


def cast_biases(model: nn.Module, model_type: object, dtype: torch.dtype) -> None:
    """Casts the biases that are made in float32 in any model, with which its products of 16 bit fail.

    So does `model.to(dtype)`; from_pretrained of transformers 5 leaves them as they are.
    """
    if model_type != DEBERTA:
        return
    for name, parameter in model.named_parameters():
        if name.endswith(BIASES):
            parameter.data = parameter.data.to(dtype)
