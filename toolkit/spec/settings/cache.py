"""The cache of keys and values in generation, from the stated fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from toolkit.spec.fields.result import OWN_LOOP, UNTIL_STEP
from toolkit.spec.fields.value import Atom
from toolkit.spec.settings.setting import Cache

UNKEPT = "none"


def keeps_none(said: Mapping[str, Atom]) -> bool:
    """Whether inference runs without a cache."""
    return said["method"] == "inference" and said.get("cache.implementation") == UNKEPT


def lengths_of(said: Mapping[str, Atom]) -> tuple[int, int]:
    """The tokens of the first pass, and those that are generated from it.

    Without a cache each pass is over all tokens before it, and the last has the most: a loop's own call is then one
    that generates nothing more, and generate() takes one token of it.
    """
    prompt, generated = cast("int", said["sequence_length"]), cast("int", said["generated_length"])
    if said["method"] != "inference":
        return prompt, 0
    if keeps_none(said) and generated > 0:
        return prompt + generated - 1, 0 if said["stack.trainer"] == OWN_LOOP else 1
    return prompt, generated


def names_before(said: Mapping[str, Atom]) -> bool:
    """Whether a loop without a cache still references the logits of the pass before its last."""
    again = keeps_none(said) and said["stack.trainer"] == OWN_LOOP and cast("int", said["generated_length"]) > 1
    return again and said.get("stack.result") != UNTIL_STEP


def cache_of(said: Mapping[str, Atom]) -> Cache | None:
    """None for the cache that grows; the defaults are those of GenerationConfig and QuantizedLayer."""
    kind = str(said.get("cache.implementation", "dynamic"))
    if kind in ("dynamic", UNKEPT):
        return None
    if kind == "static":
        return Cache(kind, cast("int | None", said.get("cache.max_cache_len")))
    backend = str(said.get("cache.backend", "quanto"))
    if backend == "fp8":
        return Cache(kind, backend=backend)
    defaults = {"nbits": 4, "axis_key": 0, "axis_value": 0, "q_group_size": 64, "residual_length": 128}
    whole = {name: cast("int", said.get(f"cache.{name}", default)) for name, default in defaults.items()}
    return Cache(kind, backend=backend, **whole)
