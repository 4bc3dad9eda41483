"""How transformers is asked to attend, with kernels that meta tensors have."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.memory.trace.batches.packed import attend_to_samples
from toolkit.memory.trace.batches.padded import varying
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import registers_attention, supports_flash
from toolkit.memory.trace.stand_ins.old_kernels import FLASH_NAME
from toolkit.memory.weights.linear_storage import QUANTIZED, working_dtype
from toolkit.spec.fields.names import FLOATS
from toolkit.spec.settings.setting import Setting

FLASH = "toolkit_tiled"  # a name with "flash" in it makes transformers look for the package
SINKS = ("gpt_oss",)
"""What attends with sinks, which the FlashAttention package has not."""
OWN_CLASSES = ("falcon",)
"""What has a class for each attention that it knows by name, and takes no other."""


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
    if model.config_class.model_type in OWN_CLASSES:
        raise UnsupportedTrace(f"the flash attention of {model.config_class.model_type} is not traced yet")
    _register_flash(getattr(torch, FLOATS[working_dtype(setting)]) if setting.weights in QUANTIZED else None, setting)
    return FLASH


def _register_flash(narrow: torch.dtype | None, setting: Setting) -> None:
    """FlashAttention's package is not needed on meta tensors: torch's flash kernel has the same memory."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    def forward(
        module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
        attention_mask: torch.Tensor | None = None, *_: Any, **given: Any,
    ) -> tuple[torch.Tensor, None]:  # fmt: skip
        query, key, value = (_short(part, narrow) for part in (query, key, value))
        samples = attend_to_samples(setting, module, (query, key, value), given.get("dropout", 0.0))
        if samples is not None:
            return samples, None
        if attention_mask is not None:
            return varying(module, (query, key, value), attention_mask, given.get("dropout", 0.0)), None
        # By its public name, so that autocast casts float32 states, as transformers does before it calls the package.
        grouped = query.shape[1] != key.shape[1]
        width = value.shape[-1]
        if width != query.shape[-1]:  # FlashAttention takes heads of one width: values are filled up
            value = F.pad(value.transpose(1, 2), [0, query.shape[-1] - width]).transpose(1, 2)
        out = F.scaled_dot_product_attention(
            query, key, value, dropout_p=given.get("dropout", 0.0), is_causal=True, enable_gqa=grouped
        )
        return out[..., :width].transpose(1, 2).contiguous(), None

    ALL_ATTENTION_FUNCTIONS.register(FLASH, forward)
    ALL_MASK_ATTENTION_FUNCTIONS.register(FLASH, _rows)


def _short(states: torch.Tensor, narrow: torch.dtype | None) -> torch.Tensor:
    """Float32 states of a quantized model in the dtype of its config, as transformers hands them to FlashAttention.

    Source: integrations/flash_attention.py, get_target_dtype; of another model they are its weights' dtype anyway.
    """
    if states.dtype != torch.float32 or torch.is_autocast_enabled():
        return states
    if narrow is None:
        raise UnsupportedTrace("FlashAttention takes no float32")
    return states.to(narrow)


def _rows(*_: Any, kv_length: int, attention_mask: torch.Tensor | None = None, **__: Any) -> torch.Tensor | None:
    """The mask of tokens, where there is one: all that FlashAttention is told (masking_utils.flash_attention_mask)."""
    if attention_mask is None:
        return None
    rows = attention_mask[:, -kv_length:]
    _ = rows.all()
    return rows
