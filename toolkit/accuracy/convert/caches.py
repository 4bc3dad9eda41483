"""How a record says that keys and values are kept, where transformers or a loop of somebody's own generates.

The words are those of transformers: `cache_implementation` and the keys of `cache_config` of its GenerationConfig, the
names of its classes of caches, `use_cache=False`.
"""

from __future__ import annotations

import re

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft, Record
from toolkit.accuracy.convert.remarks import pairs_of, remarks_of
from toolkit.spec.fields import names

_UNKEPT = re.compile(
    r"\buse_cache ?= ?false\b|\b(?:no|without an?|without) (?:kv|key-value)[- ]cache\b"
    r"|\b(?:kv|key-value)[- ]cache (?:is )?(?:off|disabled)\b"
)
_STATIC = re.compile(r"(?<!no )(?<!not a )\bstatic ?(?:kv[- ]?)?cache\b")
_QUANTIZED = re.compile(
    r"\bquantizedcache\b|\b(?:quanto|hqq)(?:quantized)?cache\b"
    r"|\b(?:quanto|hqq)\b[^;]{0,60}\bkv[- ]cache\b|\bkv[- ]cache\b[^;]{0,60}\b(?:quanto|hqq)\b"
)
_OTHER = re.compile(
    r"\b(?:offloaded|sink|hybrid|sliding ?window) ?cache\b"
    r"|\bcaches? (?:is |are )?(?:turned |converted |unpacked )?(?:in)?to (?:legacy )?tuples?\b"
    r"|\b(?:to|from)_legacy_cache\b"
)
"""Caches that no field says; a loop that has its keys and values in tuples holds those before the last token, too."""
_BACKEND = re.compile(r"\b(quanto|hqq)(?:quantized)?(?:cache)?\b")
_BITS = re.compile(r"\b(?:u?int)?([12348])(?:[- ]bits?)? kv[- ]cache\b|\bkv[- ]cache (?:in|at) (?:int)?([12348])\b")
_NUMBERS = ("nbits", "axis_key", "axis_value", "q_group_size", "residual_length")
_KINDS = {"static": "static", "quantized": "quantized", "dynamic": "dynamic"}


def say_cache(draft: Draft, record: Record) -> None:
    """The cache of inference; one of a kind that no field says stands beyond, as does one of an unnamed release."""
    if draft.fields.get("method") != "inference" or draft.fields.get("stack.trainer") in (*names.ENGINES, "litgpt"):
        return
    if any(name.startswith(("cache.", "evaluation")) for name in record.get("fields") or {}):
        return
    text, pairs = f"{remarks_of(record)} ; {(record['quantization'] or '').casefold()}", pairs_of(record)
    named = pairs.get("cache_implementation")
    kind = _KINDS.get(named) if named else _kind(text)
    if (named and kind is None) or (kind is None and _OTHER.search(text)):
        found = _OTHER.search(text)
        draft.beyond["kv_cache"] = (named or (found[0] if found else ""))[:MAX_REMARK]
    if kind is None or kind == "dynamic":
        return
    draft.say("cache.implementation", kind)
    draft.beyond.pop("kv_cache", None)
    if kind == "static" and pairs.get("max_cache_len", "").isdigit():
        draft.say("cache.max_cache_len", int(pairs["max_cache_len"]))
    if kind == "quantized":
        _say_quantized(draft, text, pairs)


def _kind(text: str) -> str | None:
    """The kind that words name; where several are told of, none."""
    signs = (("none", _UNKEPT), ("static", _STATIC), ("quantized", _QUANTIZED))
    found = [kind for kind, sign in signs if sign.search(text)]
    return found[0] if len(found) == 1 else None


def _say_quantized(draft: Draft, text: str, pairs: dict[str, str]) -> None:
    """What quantizes keys and values, and in how many bits and groups."""
    backend, bits = _BACKEND.search(text), _BITS.search(text)
    draft.say("cache.backend", pairs.get("backend") if pairs.get("backend") in names.CACHE_BACKENDS else None)
    if "cache.backend" not in draft.fields and backend:
        draft.say("cache.backend", backend[1])
    for name in _NUMBERS:
        if re.fullmatch(r"-?\d{1,9}", pairs.get(name, "")):
            draft.say(f"cache.{name}", int(pairs[name]))
    if "cache.nbits" not in draft.fields and bits:
        draft.say("cache.nbits", int(bits[1] or bits[2]))
