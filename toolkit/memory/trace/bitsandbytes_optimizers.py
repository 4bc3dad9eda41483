"""bitsandbytes' optimizers on meta tensors: their own states and steps, with managed memory left uncounted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from toolkit.spec.setting import Setting

RATE = 1e-4
PAGED_FROM = 100_000
"""Elements from which on a paged state is in managed memory (optim/optimizer.py, get_state_buffer)."""
IN_8_BIT = frozenset({"adamw_8bit", "paged_adamw_8bit"})
IN_32_BIT = frozenset({"paged_adamw", "lion"})
OVERRIDING = ("transformers", "trl")
"""Trainers that keep the states of embeddings in 32 bit (transformers/trainer.py)."""


def bitsandbytes_optimizer(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]) -> Any:
    """The optimizer of a setting, as transformers' Trainer makes it."""
    import bitsandbytes as bnb

    class OnMeta:
        """What the library does by ctypes and by value, done beside meta tensors."""

        def fill_qmap(self) -> None:
            """Works the tables out on the CPU; they are moved where the parameters are."""
            with torch.device("cpu"):
                super().fill_qmap()  # type: ignore[misc]  # of the library's class, which comes next in line

        def get_state_buffer(self, parameter: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            """A state; a paged one is a view of a single element that no allocator of a GPU sees."""
            if not self.is_paged or parameter.numel() < PAGED_FROM:  # type: ignore[attr-defined]  # same
                return torch.zeros_like(parameter, dtype=dtype)
            state = torch.zeros((), dtype=dtype, device="cpu").expand(parameter.shape)
            state.is_paged = True
            return state

        def prefetch_state(self, _: torch.Tensor) -> None:
            """Managed memory moves by itself."""

        def step(self, closure: None = None) -> None:
            """A step, without the library's question whether its tensors are on a GPU."""
            with _placement_unasked():
                super().step(closure)  # type: ignore[misc]  # same

    library = bnb.optim.Lion if setting.optimizer == "lion" else bnb.optim.AdamW
    bits = 8 if setting.optimizer in IN_8_BIT else 32
    paged = {"is_paged": setting.optimizer.startswith("paged_")}
    optimizer = type("OnMetaOptimizer", (OnMeta, library), {})(parameters, lr=RATE, optim_bits=bits, **paged)
    optimizer.mng = bnb.optim.GlobalOptimManager.__new__(bnb.optim.GlobalOptimManager)  # not the one of the process
    optimizer.mng.initialize()
    if bits == 8 and setting.stack.trainer in OVERRIDING:
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                optimizer.mng.register_module_override(module, "weight", {"optim_bits": 32})
    return optimizer


@contextmanager
def _placement_unasked() -> Iterator[None]:
    from bitsandbytes import functional

    asked = functional.is_on_gpu
    functional.is_on_gpu = lambda _: True
    try:
        yield
    finally:
        functional.is_on_gpu = asked
