"""TRL's OffloadActivations by its own code: main memory and streams are stood in for, for a trace has neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from toolkit.spec.settings.setting import Setting


@contextmanager
def offloading(setting: Setting, model: nn.Module) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """What a pass forward and backward runs within: TRL's context, or nothing where activations stay."""
    if not (setting.trains and setting.activation_offloading):
        yield nullcontext
        return
    module: Any = import_module("trl.models.activation_offloading")
    before = module.torch, module._get_unique_tensor_key, torch.Tensor.record_stream
    module.torch = _TorchOfHost()
    module._get_unique_tensor_key = _key
    torch.Tensor.record_stream = lambda *_: None
    try:
        context = module.get_act_offloading_ctx_manager(model, warn_if_no_head=False)
        _leave_parameters(context, model)
        yield lambda: context
    finally:
        module.torch, module._get_unique_tensor_key, torch.Tensor.record_stream = before


def _key(tensor: torch.Tensor) -> tuple[int, torch.dtype]:
    """What tells tensors apart: those without storage have no address."""
    return tensor.untyped_storage()._cdata + int(tensor.storage_offset()), tensor.dtype


def _leave_parameters(context: Any, model: nn.Module) -> None:
    """Lets views of parameters be known for what they are, which is told by addresses on a GPU."""
    parameters = {one.untyped_storage()._cdata: one for one in model.parameters()}
    pack, unpack = context.pack_hook, context.unpack_hook
    views: dict[int, torch.Tensor] = {}

    def packed(tensor: torch.Tensor) -> int:
        owner = parameters.get(tensor.untyped_storage()._cdata)
        number: int = pack(tensor if owner is None else owner)
        if owner is not None:
            views[number] = tensor
        return number

    def unpacked(number: int) -> torch.Tensor:
        tensor: torch.Tensor = unpack(number)
        return views.pop(number, tensor)

    context.pack_hook, context.unpack_hook = packed, unpacked


class _InMainMemory:
    """A tensor that was copied to main memory: it holds nothing of the GPU's."""

    def copy_(self, source: torch.Tensor, **_: Any) -> _InMainMemory:
        """Remembers the form of what is copied."""
        self._form = tuple(source.shape), source.dtype
        return self

    def to(self, *_: Any, **__: Any) -> torch.Tensor:
        """A copy on the GPU."""
        shape, dtype = self._form
        return torch.empty(shape, dtype=dtype, device="meta")


class _Stream:
    """A stream whose work is done at once."""

    def wait_stream(self, *_: Any) -> None:
        """Nothing to wait for."""

    def wait_event(self, *_: Any) -> None:
        """Nothing to wait for."""

    def record_event(self, *_: Any) -> object:
        """An event that has happened."""
        return object()

    def synchronize(self) -> None:
        """Nothing to wait for."""


class _Device:
    """The module of a device, as far as streams go."""

    Stream = _Stream

    def __init__(self) -> None:
        self._current = _Stream()

    def current_stream(self) -> _Stream:
        """The stream of computation."""
        return self._current

    def stream(self, _: _Stream) -> AbstractContextManager[None]:
        """Copies are made in turn with all else."""
        return nullcontext()

    def empty_cache(self) -> None:
        """There is no cache."""


class _TorchOfHost:
    """torch, but that the accelerator is the meta device, and new tensors are in main memory."""

    accelerator = SimpleNamespace(current_accelerator=lambda: SimpleNamespace(type="meta"))

    def __init__(self) -> None:
        self._device = _Device()

    def get_device_module(self, _: str) -> _Device:
        """Its streams."""
        return self._device

    def empty_like(self, *_: Any, **__: Any) -> _InMainMemory:
        """Room in main memory."""
        return _InMainMemory()

    def empty(self, *_: Any, **__: Any) -> _InMainMemory:
        """The same."""
        return _InMainMemory()

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)
