"""Which caches of transformers the formulas follow, and how each keeps a kind of layer."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from toolkit.memory.architecture import Architecture, LayerKind
from toolkit.memory.libraries.versions import older
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tape.keeping import Keeping, Packing, fp8, hqq, quanto
from toolkit.spec.settings.setting import Cache, Setting

STATIC = "static"
QUANTIZED = "quantized"
STATIC_READ = Version("5.14")
"""Read here and in 5.23: the prompt attends to its own keys alone (sdpa_attention.py); in 5.11 it did to all room."""
QUANTIZED_READ = Version("4.56")
"""Since then a cache has layers, of which each packs its own keys and values."""
WINDOWS_REFUSED_FROM = Version("5.14")
"""Since then layers with a window are refused; before, such a layer kept all tokens as any other does."""
FP8_FROM = Version("5.21")
"""Since then it may keep them in 8-bit floating point (Fp8QuantizedLayer)."""


def room(setting: Setting) -> int:
    """Tokens that a static cache has room for: all but the last, which nothing attends to (generate(), max_length)."""
    tokens = setting.sequence_length + max(setting.generated_length - 1, 0)
    return max(tokens, setting.cache.max_cache_len or 0) if setting.cache is not None else tokens


def keeping_of(setting: Setting, kind: LayerKind, dtype: str, *, heads_first: bool) -> Keeping | None:
    """How the cache of a setting keeps a kind of layer; None where it grows."""
    cache = setting.cache
    if cache is None:
        return None
    several = kind.attention.key_value_heads > 1
    if cache.implementation == QUANTIZED:
        return Keeping(packing=packings(cache, dtype), key_copied=several and not heads_first, value_copied=several)
    window, tokens = kind.attention.window, room(setting)
    kept = tokens if window is None else min(window, tokens)
    return Keeping(room=kept, hands_back=kept < setting.sequence_length)


def packings(cache: Cache, dtype: str) -> tuple[Packing, Packing]:
    """How a quantized cache packs keys and values of a dtype."""
    if cache.backend == "fp8":
        return fp8(dtype), fp8(dtype)
    bits, group = cache.nbits or 0, cache.q_group_size or 1
    if cache.backend == "hqq":
        return hqq(dtype, bits, group, cache.axis_key or 0), hqq(dtype, bits, group, cache.axis_value or 0)
    return quanto(dtype, bits, group, cache.axis_key or 0), quanto(dtype, bits, group, cache.axis_value or 0)


def refuse_cache(setting: Setting, architecture: Architecture) -> None:
    """Raise where no formula says what a cache holds."""
    cache = setting.cache
    if cache is None or setting.trains:
        return
    for what, covered in (*_anywhere(setting, architecture), *_of_kind(cache, setting, architecture)):
        if not covered:
            raise UnsupportedRow("kv_cache", f"no formula for a {cache.implementation} cache {what} yet")
    windows = any(kind.attention.window for kind in architecture.layers)
    if cache.implementation == QUANTIZED and windows and not older(setting, "transformers", WINDOWS_REFUSED_FROM):
        raise UnsupportedRow("kv_cache", "transformers has no quantized cache of layers with a window (QuantizedCache)")


def _anywhere(setting: Setting, architecture: Architecture) -> Iterator[tuple[str, bool]]:
    layers = [kind.attention for kind in architecture.layers]
    alone = len({kind.stack for kind in architecture.layers}) == 1
    yield "of a model that attends to an encoder", alone and architecture.is_decoder
    yield f"run by {setting.stack.trainer}", setting.stack.trainer in ("transformers", "plain")
    yield "of latent attention", all(one.latent_rank is None for one in layers)
    yield "beside linear attention", all(kind.mixer is None for kind in architecture.layers)
    yield "beside ALiBi", not any(one.alibi for one in layers)
    yield "of keys repeated for every query head", not any(one.caches_queries for one in layers)
    yield "on several GPUs", setting.parallel.gpus == 1
    yield "of padded rows", not setting.padding
    yield "of a model whose code is not of transformers", architecture.family != "qwen"


def _of_kind(cache: Cache, setting: Setting, architecture: Architecture) -> Iterator[tuple[str, bool]]:
    windows = {kind.attention.window for kind in architecture.layers} - {None}
    if cache.implementation == QUANTIZED:
        needed = FP8_FROM if cache.backend == "fp8" else QUANTIZED_READ
        yield f"of transformers before {needed}", not older(setting, "transformers", needed)
        layers = architecture.layers
        yield "of keys that layers share", not any(kind.attention.shares_keys for kind in layers)
        group = cache.q_group_size or 1
        widths = [kind.attention.key_value_heads * kind.attention.head_dim for kind in layers]
        yield "whose groups go over tokens", all(width % group == 0 for width in widths)
        return
    yield f"of transformers before {STATIC_READ}", not older(setting, "transformers", STATIC_READ)
    yield "with flash attention", setting.attention != "flash"
    eager = setting.attention == "eager" or any(
        kind.attention.softcap or kind.attention.sinks for kind in architecture.layers
    )
    yield "of windows with eager attention", not (eager and windows)
    most = room(setting)
    yield (
        "with a window between the prompt's length and the answer's end",
        all(window is None or window > most or window < setting.sequence_length for window in windows),
    )
