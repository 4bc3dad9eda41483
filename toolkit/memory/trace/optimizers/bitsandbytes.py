"""bitsandbytes' optimizers on meta tensors: their own states and steps, with managed memory left uncounted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from toolkit.spec.fields.names import GALORE, OPTIMIZERS_8BIT
from toolkit.spec.settings.setting import Setting

RATE = 1e-4
PAGED_FROM = 100_000
"""Elements from which on a paged state is in managed memory (optim/optimizer.py, get_state_buffer)."""
OVERRIDING = ("transformers", "trl")
"""Trainers that keep the states of embeddings in 32 bit (transformers/trainer.py)."""

CLASSES: Mapping[str, str] = {"adamw": "AdamW", "lion": "Lion", "ademamix": "AdEMAMix", "rmsprop_bnb": "RMSprop"}
"""The library's class of each optimizer, whose name may say paged_ and _8bit besides."""
OF_TORCH = frozenset({"adamw"})
"""Names that without either are torch's."""


def is_of_bitsandbytes(optimizer: str) -> bool:
    """Whether the library makes an optimizer; that of GaLore is another's, on its classes."""
    return _plain(optimizer) in CLASSES and optimizer not in OF_TORCH


def _plain(optimizer: str) -> str:
    return optimizer.removeprefix("paged_").removesuffix("_8bit")


def arguments_of(optimizer: str) -> tuple[str, dict[str, Any]]:
    """The name of the library's class, and how transformers asks it for the states of an optimizer."""
    name = CLASSES[_plain(optimizer)]
    said: dict[str, Any] = {"optim_bits": 8 if optimizer in OPTIMIZERS_8BIT else 32}
    return name, said if name == "RMSprop" else {**said, "is_paged": optimizer.startswith("paged_")}


def overrides(setting: Setting) -> bool:
    """Whether a trainer keeps the states of embeddings in 32 bit."""
    in_8_bit = setting.optimizer in OPTIMIZERS_8BIT - GALORE
    return in_8_bit and setting.stack.trainer in OVERRIDING


def bitsandbytes_optimizer(setting: Setting, model: nn.Module, parameters: Sequence[nn.Parameter]) -> Any:
    """The optimizer of a setting, as transformers' Trainer makes it."""
    import bitsandbytes as bnb

    name, said = arguments_of(setting.optimizer)
    optimizer = on_meta(getattr(bnb.optim, name))(parameters, lr=RATE, **said)
    managed_alone(optimizer)
    if overrides(setting):
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                optimizer.mng.register_module_override(module, "weight", {"optim_bits": 32})
    return optimizer


def managed_alone(optimizer: Any) -> None:
    """Gives an optimizer overrides of its own, not those of the process."""
    import bitsandbytes as bnb

    optimizer.mng = bnb.optim.GlobalOptimManager.__new__(bnb.optim.GlobalOptimManager)
    optimizer.mng.initialize()


def on_meta(library: type[Any]) -> type[Any]:
    """A class of the library whose ctypes and values are done beside meta tensors."""

    class OnMeta:
        """What the library does by ctypes and by value, done beside meta tensors."""

        def fill_qmap(self) -> None:
            """Works the tables out on the CPU; they are moved where the parameters are."""
            with torch.device("cpu"):
                super().fill_qmap()  # type: ignore[misc]  # of the library's class, which comes next in line

        def get_state_buffer(self, parameter: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            """A state; a paged one is a view of a single element that no allocator of a GPU sees."""
            return self._state(parameter, parameter.shape, dtype)

        def _get_state_double_buffer(self, parameter: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            """AdEMAMix's two averages in one."""
            return self._state(parameter, (2, *parameter.shape), dtype)

        def _state(self, parameter: torch.Tensor, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
            if not self.is_paged or parameter.numel() < PAGED_FROM:  # type: ignore[attr-defined]  # same
                return parameter.new_zeros(tuple(shape), dtype=dtype)  # on its GPU
            state = torch.zeros((), dtype=dtype, device="cpu").expand(tuple(shape))
            state.is_paged = True
            return state

        def prefetch_state(self, _: torch.Tensor) -> None:
            """Managed memory moves by itself."""

        def step(self, closure: None = None) -> None:
            """A step, without the library's question whether its tensors are on a GPU."""
            with _unasked():
                super().step(closure)  # type: ignore[misc]  # same

    return type("OnMetaOptimizer", (OnMeta, library), {})


@contextmanager
def _unasked() -> Iterator[None]:
    """Tensors are taken to be on a GPU, for which nobody waits."""
    from bitsandbytes import functional

    asked, waited = functional.is_on_gpu, torch.cuda.synchronize
    functional.is_on_gpu, torch.cuda.synchronize = (lambda _: True), (lambda *_: None)
    try:
        yield
    finally:
        functional.is_on_gpu, torch.cuda.synchronize = asked, waited
