"""How transformers is asked to attend, with kernels that meta tensors have."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.memory.trace.old_kernels import FLASH_NAME
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import registers_attention, supports_flash
from toolkit.spec.setting import Setting

FLASH = "toolkit_tiled"  # a name with "flash" in it makes transformers look for the package
SINKS = ("gpt_oss",)
"""What attends with sinks, which the FlashAttention package has not."""


def implementation(setting: Setting, model: Any) -> str | None:
    """The attention that a class of transformers is asked for: with None it takes sdpa, or eager where it has none."""
    if setting.attention == "eager":
        return "eager"
    if setting.attention == "sdpa":
        return None
    if not supports_flash(model) or model.config_class.model_type in SINKS:
        raise UnsupportedTrace(f"transformers has no flash attention for {model.config_class.model_type}")
    if not registers_attention():
        return FLASH_NAME
    _register_flash()
    return FLASH


def _register_flash() -> None:
    """FlashAttention's package is not needed on meta tensors: torch's flash kernel has the same memory."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    def forward(
        _module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **given: Any
    ) -> tuple[torch.Tensor, None]:
        # By its public name, so that autocast casts float32 states, as transformers does before it calls the package.
        grouped = query.shape[1] != key.shape[1]
        out = F.scaled_dot_product_attention(
            query, key, value, dropout_p=given.get("dropout", 0.0), is_causal=True, enable_gqa=grouped
        )
        return out.transpose(1, 2).contiguous(), None

    ALL_ATTENTION_FUNCTIONS.register(FLASH, forward)
    ALL_MASK_ATTENTION_FUNCTIONS.register(FLASH, lambda *_, **__: None)
