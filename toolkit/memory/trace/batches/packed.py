"""Traces of samples that lie one after the other in a row, with positions that start anew.

Where samples begin are values, which meta tensors lack: there are as many as the setting says, whose mask is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.memory.packing import BY_LENGTHS, MASKS_BY_POSITIONS, laid_out
from toolkit.memory.trace.batches.padded import MASKING, POSITIONS, as_kernel_takes
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import TRANSFORMERS, installed
from toolkit.memory.trace.stand_ins.operators import standing_in
from toolkit.spec.fields.packing import PADDING_FREE, UNPACKED
from toolkit.spec.settings.setting import Setting

FINDS_PACKED = "find_packed_sequence_indices"
LENGTHS = ("cu_seq_lens_q", "cu_seq_lens_k")
LONGEST = ("max_length_q", "max_length_k")
States = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def beside_ids(setting: Setting, ids: torch.Tensor) -> dict[str, Any]:
    """What a collator gives beside packed ids: positions of each token, and TRL where samples begin.

    Sources: transformers data/data_collator.py, DataCollatorWithFlattening; trl trainer/sft_trainer.py.
    """
    if setting.packing == UNPACKED:
        return {}
    seen = laid_out(setting)
    given: dict[str, Any] = {POSITIONS: torch.zeros_like(ids)}
    if seen.packing == BY_LENGTHS:
        given |= {name: _ends(seen) for name in LENGTHS}
        given |= dict.fromkeys(LONGEST, -(-seen.sequence_length // seen.samples_per_row))
        given["seq_idx"] = torch.zeros(ids.shape, dtype=torch.int32)
    return given


@contextmanager
def samples_seen(setting: Setting) -> Iterator[None]:
    """Has transformers find several samples in each row of positions (masking_utils.py)."""
    if setting.packing == UNPACKED:
        yield
        return
    if installed(TRANSFORMERS) < MASKS_BY_POSITIONS:
        raise UnsupportedTrace(f"packed rows are not traced yet with transformers before {MASKS_BY_POSITIONS}")
    with standing_in(import_module(MASKING), FINDS_PACKED, _starting_anew):
        yield


def _starting_anew(positions: torch.Tensor) -> torch.Tensor:
    """The number of each token's sample in its row: transformers gives none where a row has a single sample."""
    change = torch.diff(positions, prepend=positions[:, :1] - 1, dim=-1)
    number = (change != 1).cumsum(-1)
    _ = (number[:, -1] == 0).all()
    return number


def attend_to_samples(setting: Setting, module: nn.Module, states: States, dropout: float) -> torch.Tensor | None:
    """FlashAttention over the samples of one row, by torch's copy of its kernel; None where it sees whole rows.

    `states` are queries, keys and values of (1, heads, tokens, width); the result is of (1, tokens, heads, width).
    Source: transformers modeling_flash_attention_utils.py, _flash_attention_forward.
    """
    seen = laid_out(setting)
    if seen.packing not in (PADDING_FREE, BY_LENGTHS):
        return None
    query, key, value = states
    width = value.shape[-1]
    if width != query.shape[-1]:  # values are filled up (integrations/flash_attention.py)
        value = F.pad(value.transpose(1, 2), [0, query.shape[-1] - width]).transpose(1, 2)
    parts = as_kernel_takes(module, (query, key, value))
    if seen.packing == PADDING_FREE:
        parts = tuple(part.contiguous() for part in parts)
    query, key, value = (part.reshape(-1, *part.shape[-2:]) for part in parts)
    ends, longest = _ends(seen), -(-seen.sequence_length // seen.samples_per_row)
    attend = torch.ops.aten._flash_attention_forward
    out: torch.Tensor = attend(query, key, value, ends, ends, longest, longest, dropout, True, False)[0]
    return out.view(1, -1, *out.shape[-2:])[..., :width]


def _ends(seen: Setting) -> torch.Tensor:
    """Where samples end, and 0 before: as many 32-bit numbers."""
    return torch.zeros(seen.samples_per_row + 1, dtype=torch.int32)
