"""The caches of transformers' generate() beside the one that grows, each made as generate() makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from toolkit.memory.libraries.kept_caches import QUANTIZED, room
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.settings.setting import Cache, Setting

PACKAGES = {"quanto": ("optimum.quanto", "optimum-quanto"), "hqq": ("hqq", "hqq")}
"""The package of each backend, as python and as pip name it."""
OPTIONS = ("nbits", "axis_key", "axis_value", "q_group_size", "residual_length")


def cache_of(setting: Setting, model: nn.Module) -> dict[str, Any]:
    """The empty cache that a setting asks for, as the argument of a model; nothing where it is the one that grows."""
    cache = setting.cache
    if cache is None:
        return {}
    if model.config.is_encoder_decoder:
        raise UnsupportedTrace(f"a {cache.implementation} cache of an encoder-decoder is not traced yet")
    known: Any = import_module("transformers.cache_utils")
    config: Any = model.config
    text = config.get_text_config(decoder=True)
    if cache.implementation != QUANTIZED:
        return {"past_key_values": known.StaticCache(config=text, max_cache_len=room(setting))}
    package, pip = PACKAGES.get(str(cache.backend), ("transformers", "transformers"))
    if not _installed(package):
        raise UnsupportedTrace(f"the {cache.backend} backend of quantized caches is not installed: pip install {pip}")
    given = {name: getattr(cache, name) for name in OPTIONS if getattr(cache, name) is not None}
    try:
        return {"past_key_values": known.QuantizedCache(cache.backend, config=text, **given)}
    except ValueError as refused:  # windows, and what a release does not know yet
        raise UnsupportedTrace(f"this release of transformers has no such cache: {refused}") from None


def is_packed(setting: Setting) -> bool:
    """Whether all keys and values are packed anew now and then: such steps are not alike."""
    return setting.cache is not None and setting.cache.implementation == QUANTIZED


def parts_of(cache: Any) -> Iterator[torch.Tensor]:
    """All tensors of a cache of layers: those in few bits, their scales, and keys and values as they are."""
    for layer in cache.layers:
        for name in ("_quantized_keys", "_quantized_values"):
            yield from _packed(getattr(layer, name, None))
        for name in ("keys", "values", "conv_states", "recurrent_states"):  # the last two of linear attention
            yield from _packed(getattr(layer, name, None))


def _packed(kept: Any) -> Iterator[torch.Tensor]:
    """The tensors of what a backend keeps: quanto's are fields of a tensor, others' a tensor and what goes with it."""
    if isinstance(kept, torch.Tensor):
        if hasattr(kept, "_scale"):  # optimum.quanto.WeightQBitsTensor
            yield from (kept._data._data, kept._scale, kept._shift)
        else:
            yield kept
    elif isinstance(kept, dict):
        yield from (part for part in kept.values() if isinstance(part, torch.Tensor))
    elif isinstance(kept, tuple):
        for part in kept:
            yield from _packed(part)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


@contextmanager
def packed_as_on_gpu(cache: Cache | None) -> Iterator[None]:
    """Lets a backend pack meta tensors as it packs those of a GPU, with all that it makes on the way seen."""
    backend = cache.backend if cache is not None else None
    if backend not in _AS_ON_GPU or not _installed(PACKAGES[backend][0]):
        yield
        return
    changed = [(holder, name, getattr(holder, name), value) for holder, name, value in _AS_ON_GPU[backend]()]
    for holder, name, _, value in changed:
        setattr(holder, name, value)
    try:
        yield
    finally:
        for holder, name, before, _ in changed:
            setattr(holder, name, before)


Change = tuple[Any, str, Any]
"""An attribute of something, and what it is for a while."""


def _hqq() -> Iterator[Change]:
    """HQQ works in float16 on a GPU, and asks values when to stop: at the earliest after the second of its rounds.

    The first error is less than what it starts from with any values, and all rounds after the second are alike.
    """
    asked = torch.Tensor.__bool__
    yield import_module("hqq.core.optimize"), "float32", torch.float16
    yield torch.Tensor, "__bool__", lambda tensor: True if tensor.device.type == "meta" else asked(tensor)


def _quanto() -> Iterator[Change]:
    """Quanto rounds by an operator of its own: python code, whose tensors no operator tells of."""
    import_module("optimum.quanto")
    yield torch.ops.quanto, "quantize_affine", _rounded


def _rounded(
    base: torch.Tensor, *, bits: int, axis: int, group_size: int, scale: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """The bytes of each group, shifted, divided and rounded: tensor by tensor as library/quantize.py makes them."""
    group = import_module("optimum.quanto.tensor.grouped").group
    groups: torch.Tensor = group(base, axis=axis, group_size=group_size)
    rounded = ((groups + shift) / scale).round()
    return rounded.clamp(0, (1 << bits) - 1).to(torch.uint8)


_AS_ON_GPU: dict[str, Callable[[], Iterator[Change]]] = {"hqq": _hqq, "quanto": _quanto}
