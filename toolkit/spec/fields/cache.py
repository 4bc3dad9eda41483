"""The fields that say how generation keeps keys and values: data only, one entry a field.

They are those of transformers' GenerationConfig: `cache_implementation`, `max_cache_len`, and the keys of
`cache_config`, which are the arguments of its QuantizedCache.
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import names
from toolkit.spec.fields.field import Applies, FieldSpec
from toolkit.spec.fields.kind import Boolean, Integer, Kind, one_of

_PASSING = ("activations", "logits", "temporary", "time")
_MOVES = ("kv_cache", *_PASSING)


def cache_fields() -> Iterator[FieldSpec]:
    """Every field of `cache`, and whether a model that trains fills one."""
    yield FieldSpec(
        "use_cache",
        Boolean(),
        "false where a script turns off the cache that a model fills as it trains without checkpoints, although nobody "
        "reads it (model.config.use_cache = False); by default as its config and the trainer have it.",
        ("false",),
        frozenset(_MOVES),
        "training",
    )
    yield _field(
        "implementation",
        one_of("a way to keep keys and values", names.CACHES),
        "How transformers' generate() keeps keys and values.",
        "static",
        "inference",
    )
    yield _field(
        "max_cache_len",
        Integer("a positive integer", 1, 10**9),
        "The smallest number of tokens that a static cache has room for.",
        "4096",
        "static cache",
    )
    yield _field(
        "backend",
        one_of("a backend of quantized caches", names.CACHE_BACKENDS),
        "The library that quantizes keys and values.",
        "hqq",
        "quantized cache",
    )
    yield _field("nbits", Integer("a number of bits", 1, 8), "Bits of a cached value.", "4", "quantized cache")
    for name, what in (("axis_key", "keys"), ("axis_value", "values")):
        doc = f"The axis along which {what} are grouped: 0, or -1 for quanto, or 1 for hqq."
        yield _field(name, Integer("-1, 0 or 1", -1, 1), doc, "0", "quantized cache", _PASSING)
    yield _field(
        "q_group_size",
        Integer("a positive integer", 1, 10**6),
        "How many values share a scale and a zero point.",
        "64",
        "quantized cache",
    )
    yield _field(
        "residual_length",
        Integer("a positive integer", 1, 10**9),
        "How many generated tokens are kept unquantized before they are quantized with all others.",
        "128",
        "quantized cache",
    )


def _field(
    name: str, kind: Kind, doc: str, example: str, applies: Applies, affects: tuple[str, ...] = _MOVES
) -> FieldSpec:
    return FieldSpec(f"cache.{name}", kind, doc, (example,), frozenset(affects), applies)
