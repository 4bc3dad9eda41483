"""The block that transformers allocates and frees before a model is loaded to a GPU, from which weights are then cut.

Its bytes are those of the tensors as the empty model has them (modeling_utils.py, caching_allocator_warmup). What
bitsandbytes is to quantize counts in its unquantized dtype before 5.0, from 4.51 on the half of all
(quantizers/base.py, get_accelerator_warm_up_factor); since 5.0 as half a byte a value, or one
(param_element_size), without scales.
"""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.memory.libraries.versions import older
from toolkit.memory.loading.unsplit import PACKAGE, WARMS_HALF, WARMS_WHOLE
from toolkit.memory.weights.linear_storage import FOUR_BIT, QUANTIZED, working_dtype
from toolkit.memory.weights.storage import ITEM_BYTES, StoredTensor
from toolkit.spec.settings.setting import Setting


def first_block(stored: Iterable[StoredTensor], setting: Setting) -> int:
    """The bytes of the block for tensors that are loaded to one GPU, of all of them unless some are to be quantized."""
    if setting.weights not in QUANTIZED:
        return sum(one.bytes for one in stored)
    halves = 2 * ITEM_BYTES[working_dtype(setting)]
    if not older(setting, PACKAGE, WARMS_WHOLE):
        halves = 1 if setting.weights in FOUR_BIT else 2
    whole = sum(_loaded(one, halves) for one in stored)
    return whole // 2 if _asks_for_half(setting) else whole


def _asks_for_half(setting: Setting) -> bool:
    return not older(setting, PACKAGE, WARMS_HALF) and older(setting, PACKAGE, WARMS_WHOLE)


def _loaded(one: StoredTensor, halves: int) -> int:
    """The bytes of a tensor over all layers, so many half bytes for each value of a weight that is to be quantized."""
    if not one.is_packed:
        return one.bytes
    return 0 if one.part.name else one.module.count * one.tensor.elements * halves // 2
