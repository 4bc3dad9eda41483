"""Batches whose rows are filled up: their masks and positions, and the code of transformers that looks for zeros.

What a mask has in it are values, which meta tensors lack: where rows are padded, it is taken to have a zero. How many
tokens are real decides nothing but how many FlashAttention goes through, which are all of them here: as many as there
are where next to nothing is padding, and the most that there can be.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.memory.libraries.losses import OF_PAIRS
from toolkit.memory.refusal import MASKS_MADE_ALIKE
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import TRANSFORMERS, installed
from toolkit.memory.trace.stand_ins.old_padding import masks_told
from toolkit.memory.trace.stand_ins.operators import standing_in
from toolkit.spec.settings.setting import Setting

MASKING = "transformers.masking_utils"
FLASH_UTILS = "transformers.modeling_flash_attention_utils"
LOOKING = ("_ignore_causal_mask_sdpa", "_ignore_bidirectional_mask_sdpa")
"""Where transformers leaves out a mask that has no zeros."""
REAL = "attention_mask"
POSITIONS = "position_ids"
LARGEST_HEAD = 256
"""The widest head that FlashAttention takes."""


def mask_of(setting: Setting, ids: torch.Tensor, *, left: bool) -> dict[str, torch.Tensor]:
    """What a collator or a tokenizer gives beside padded ids: a mask of 64-bit ones, with a zero at one side."""
    if not setting.padding:
        return {}
    mask = torch.ones_like(ids)
    mask[0, 0 if left else -1] = 0
    return {REAL: mask}


class Rows:
    """What generate() hands to each call beside the tokens: the mask of all so far, and the positions of the new ones.

    Source: transformers generation/utils.py, _prepare_position_ids_for_generation and
    _update_model_kwargs_for_generation.
    """

    def __init__(self, model: nn.Module, mask: torch.Tensor) -> None:
        self._mask = mask
        self._positions: torch.Tensor | None = None
        if POSITIONS in inspect.signature(model.forward).parameters:
            positions = mask.long().cumsum(-1) - 1
            self._positions = positions.masked_fill(mask == 0, 0)

    def given(self, tokens: int) -> Mapping[str, torch.Tensor]:
        """What goes with the last so many tokens."""
        if self._positions is None:
            return {REAL: self._mask}
        positions = self._positions
        if tokens != positions.shape[-1]:
            positions = positions[..., -tokens:].clone(memory_format=torch.contiguous_format)
        return {REAL: self._mask, POSITIONS: positions}

    def lengthen(self, tokens: int) -> None:
        """So many tokens more, all of them real."""
        self._mask = torch.cat([self._mask, self._mask.new_ones((self._mask.shape[0], tokens))], dim=-1)
        if self._positions is not None:
            new = torch.arange(1, tokens + 1, device=self._positions.device) + self._positions[..., -1:]
            self._positions = torch.cat([self._positions, new], dim=-1)


@contextmanager
def zeros_seen(setting: Setting, model_type: object) -> Iterator[None]:
    """Has transformers find padding in every mask that it is given, where rows are padded.

    A decoder beside an encoder makes its own mask, which is of ones alone.
    """
    if installed(TRANSFORMERS) < MASKS_MADE_ALIKE:
        if setting.padding and setting.attention == "flash":
            raise UnsupportedTrace(f"flash attention to padded rows is not traced before {MASKS_MADE_ALIKE}")
        with masks_told(padded=setting.padding):
            yield
        return
    if not setting.padding:
        yield
        return
    masking, flash = import_module(MASKING), import_module(FLASH_UTILS)
    with ExitStack() as entered:
        for name in LOOKING[1:] if model_type in OF_PAIRS else LOOKING:
            entered.enter_context(standing_in(masking, name, _found(getattr(masking, name))))
        entered.enter_context(standing_in(flash, "_get_unpad_data", _all_real))
        yield


def _found(without_mask: Callable[..., bool]) -> Callable[..., bool]:
    def ignores(padding_mask: torch.Tensor | None, *args: Any, **given: Any) -> bool:
        if padding_mask is None:
            return without_mask(padding_mask, *args, **given)
        _ = padding_mask.sum() == padding_mask.numel()
        return False

    return ignores


def _all_real(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """The indices of real tokens, the sums of rows' lengths, and the longest (_get_unpad_data)."""
    lengths = mask.sum(dim=-1, dtype=torch.int32)
    indices = torch.arange(mask.numel(), device=mask.device)
    return indices, F.pad(torch.cumsum(lengths, dim=0, dtype=torch.int32), (1, 0)), mask.shape[-1]


def varying(
    module: nn.Module, states: tuple[torch.Tensor, torch.Tensor, torch.Tensor], mask: torch.Tensor, dropout: float
) -> torch.Tensor:
    """FlashAttention over the real tokens of padded rows, by torch's copy of its kernel.

    `states` are queries, keys and values of (batch, heads, length, width); the result is of (batch, length, heads,
    width). Source: transformers integrations/flash_attention.py and modeling_flash_attention_utils.py.
    """
    flash: Any = import_module(FLASH_UTILS)
    length = states[0].shape[2]
    parts = as_kernel_takes(module, states)
    query, key, value, indices, (of_queries, of_keys), (longest_query, longest_key) = flash._upad_input(
        *parts, mask, length, _refuse_parts
    )
    attend = torch.ops.aten._flash_attention_forward
    causal = length > 1
    out = attend(query, key, value, of_queries, of_keys, longest_query, longest_key, dropout, causal, False)[0]
    padded: torch.Tensor = flash._pad_input(out, indices, mask.shape[0], length)
    return padded


def as_kernel_takes(module: nn.Module, states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """States of (batch, length, heads, width) in a dtype that FlashAttention takes (integrations/flash_attention.py).

    Raises UnsupportedTrace for those that it does not take as they are.
    """
    flash: Any = import_module(FLASH_UTILS)
    integration: Any = import_module("transformers.integrations.flash_attention")
    if not hasattr(integration, "get_target_dtype"):
        raise UnsupportedTrace("FlashAttention over packed or padded rows is not traced yet with transformers before 5")
    parts = tuple(part.transpose(1, 2) for part in states)
    query, key, value = flash.fa_peft_integration_check(*parts, integration.get_target_dtype(states[0], module))
    _refuse_kernel(query, key, value)
    return query, key, value


def _refuse_kernel(query: torch.Tensor, _: torch.Tensor, value: torch.Tensor) -> None:
    """What torch's copy of the kernel does not take is not traced."""
    if query.dtype == torch.float32:
        raise UnsupportedTrace("FlashAttention takes no float32")
    if query.shape[-1] != value.shape[-1] or query.shape[-1] > LARGEST_HEAD:
        raise UnsupportedTrace("FlashAttention over padded rows is traced for heads of one width up to 256")


def _refuse_parts(*_: Any) -> Any:
    raise UnsupportedTrace("FlashAttention over a part of a padded prompt is not traced yet")
