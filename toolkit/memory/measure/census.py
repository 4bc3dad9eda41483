"""The tensors that last: counted one by one, so that rows can be held against a ledger's exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from toolkit.memory.allocator.caching import MIN_BLOCK
from toolkit.memory.ledger import Category


class Census:
    """Storages by category: their bytes, each rounded up to 512 as the allocator rounds, and how many they are."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seen: set[int] = set()
        self.rows: dict[str, dict[str, int]] = {}

    def count(self, category: Category, tensors: Iterable[object]) -> None:
        """Counts the storages on the device that were not counted yet; whatever is no tensor is passed over."""
        row = self.rows.setdefault(category.value, {"bytes": 0, "storages": 0})
        for tensor in tensors:
            if not isinstance(tensor, torch.Tensor) or tensor.device.type != self._kind:
                continue
            storage = getattr(tensor, "_local_tensor", tensor).untyped_storage()  # of a DTensor, this rank's part
            if storage.data_ptr() not in self._seen and not _is_managed(tensor):
                self._seen.add(storage.data_ptr())
                row["bytes"] += -(-storage.nbytes() // MIN_BLOCK) * MIN_BLOCK
                row["storages"] += 1


def held_by(model: nn.Module) -> Iterator[object]:
    """Parameters and buffers, and what bitsandbytes keeps beside them: scales, tables, offsets."""
    yield from model.parameters()
    yield from model.buffers()
    for parameter in model.parameters():
        for name in ("CB", "SCB"):
            yield getattr(parameter, name, None)
        state = getattr(parameter, "quant_state", None)
        while state is not None:
            yield from (state.absmax, state.code, state.offset)
            state = state.state2
    for module in model.modules():
        state = getattr(module, "state", None)  # LLM.int8() moves its scales there with the first pass
        for name in ("CB", "SCB"):
            yield getattr(state, name, None)


def adapters_of(model: nn.Module) -> Iterator[nn.Parameter]:
    """What peft put beside the model."""
    for name, parameter in model.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            yield parameter


def _is_managed(tensor: torch.Tensor) -> bool:
    """Whether bitsandbytes paged a tensor: it is in managed memory, which no allocator of torch counts."""
    return bool(getattr(tensor, "is_paged", False))
