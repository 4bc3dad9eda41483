"""Padded rows in releases of transformers before 5: what their code asks of the values of a mask, and is told here.

Each model made its masks by itself or by modeling_attn_mask_utils.py, and left one out where `torch.all(mask == 1)`.
A mask on the meta device has no values: all of them are ones unless rows are padded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

ASKING = frozenset(
    {"_prepare_4d_attention_mask_for_sdpa", "_prepare_4d_causal_attention_mask_for_sdpa", "_ignore_causal_mask_sdpa"}
)
"""The functions that go by whether all of a mask are ones (modeling_attn_mask_utils.py)."""


@contextmanager
def masks_told(*, padded: bool) -> Iterator[None]:
    """Tells those functions whether all of a mask are ones; what others ask of tensors without values is an error."""
    truth = torch.Tensor.__bool__

    def told(tensor: torch.Tensor) -> Any:
        if tensor.device.type == "meta" and sys._getframe(1).f_code.co_name in ASKING:
            return not padded
        return truth(tensor)

    torch.Tensor.__bool__ = told
    try:
        yield
    finally:
        torch.Tensor.__bool__ = truth
