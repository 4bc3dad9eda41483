"""How generation keeps keys and values, from what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from toolkit.spec.fields.value import Atom
from toolkit.spec.settings.setting import Cache


def cache_of(said: Mapping[str, Atom]) -> Cache | None:
    """None for the cache that grows; the defaults are those of GenerationConfig and QuantizedLayer."""
    kind = str(said.get("cache.implementation", "dynamic"))
    if kind == "dynamic":
        return None
    if kind == "static":
        return Cache(kind, cast("int | None", said.get("cache.max_cache_len")))
    backend = str(said.get("cache.backend", "quanto"))
    if backend == "fp8":
        return Cache(kind, backend=backend)
    defaults = {"nbits": 4, "axis_key": 0, "axis_value": 0, "q_group_size": 64, "residual_length": 128}
    whole = {name: cast("int", said.get(f"cache.{name}", default)) for name, default in defaults.items()}
    return Cache(kind, backend=backend, **whole)
