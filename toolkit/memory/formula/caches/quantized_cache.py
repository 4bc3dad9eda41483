"""Keys and values of all tokens in a quantized cache, and what is there while a token's are added to them.

Source: transformers 5.23 cache_utils.py, QuantizedLayer.update and Fp8QuantizedLayer.update. The prompt is packed at
once. Each further token unpacks all that is packed, one layer at a time; after `residual_length` tokens, these and all
before are packed again.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.architecture import LayerKind
from toolkit.memory.context import Context
from toolkit.memory.libraries.kept_caches import packings
from toolkit.memory.size import BYTES
from toolkit.memory.tape.keeping import Packing, whole


@frozen
class Tokens:
    """How many tokens of a sequence are packed, and how many after them are not."""

    packed: int
    plain: int


def at_step(context: Context, step: int) -> Tokens:
    """The tokens in the cache after so many beyond the prompt."""
    cache, prompt = context.setting.cache, context.setting.sequence_length
    residual = cache.residual_length if cache is not None else None
    if residual is None:  # a backend that adds to what is packed
        return Tokens(prompt + step, 0)
    return Tokens(prompt + step // residual * residual, step % residual)


def steps_of(context: Context) -> int:
    """Tokens that are decoded after the prompt."""
    return max(context.setting.generated_length - 1, 0)


def quantized_bytes(context: Context, tokens: Tokens) -> int:
    """The bytes that all layers keep of so many tokens of every sequence."""
    return sum(kind.count * _layer(context, kind, tokens) for kind in context.architecture.layers)


def last_update(context: Context) -> int:
    """The most that a layer needs beside the final cache when it gets one of the last tokens.

    That is the last token, or an earlier one at which all were packed again, when less was kept.
    """
    steps, cache = steps_of(context), context.setting.cache
    if not steps or cache is None:
        return 0
    kind = max(context.architecture.layers, key=lambda one: _elements(one, 1)[0])
    found = [_update(context, kind, steps)]
    residual = cache.residual_length
    if residual is not None and steps >= residual:
        packed = steps // residual * residual
        end, then = (quantized_bytes(context, at_step(context, step)) for step in (steps, packed - 1))
        found.append(_packing_anew(context, kind, packed) - (end - then))
    return max(found)


def _update(context: Context, kind: LayerKind, step: int) -> int:
    """Keys and values unpacked and concatenated with the latest; and the latest as they were before this token."""
    keys, values = packings_of(context)
    before, after = at_step(context, step - 1), at_step(context, step)
    dtype = BYTES[context.numerics.stream]
    if keys.holds_old:
        old, now = _sizes(context, kind, before.packed), _sizes(context, kind, after.packed)
        return keys.kept(old[0]) + values.kept(old[1]) + dtype * sum(now) + whole(now[1] * values.unpacks)
    packed = _sizes(context, kind, before.packed)
    joined = _sizes(context, kind, before.packed + before.plain + 1)
    latest = _sizes(context, kind, before.plain)
    unpacking = dtype * sum(packed) + whole(packed[1] * values.unpacks)
    return max(unpacking, dtype * (sum(packed) + sum(joined) + latest[1]))


def _packing_anew(context: Context, kind: LayerKind, step: int) -> int:
    """The first layer packs the keys of all tokens, then the values, beside the cache from before this token."""
    keys, values = packings_of(context)
    packed, joined = (_sizes(context, kind, at_step(context, one).packed) for one in (step - 1, step))
    new_keys = keys.kept(joined[0]) - keys.kept(packed[0])
    unpacked = BYTES[context.numerics.stream] * (sum(packed) + sum(joined))
    first, second = (whole(size * (one.packs + one.packed)) for size, one in zip(joined, (keys, values), strict=True))
    return unpacked + max(first, new_keys + second)


def packings_of(context: Context) -> tuple[Packing, Packing]:
    """How keys and values of a context are packed."""
    cache = context.setting.cache
    assert cache is not None, "asked only of quantized caches"
    return packings(cache, context.numerics.stream)


def _layer(context: Context, kind: LayerKind, tokens: Tokens) -> int:
    plain = BYTES[context.numerics.stream] * sum(_sizes(context, kind, tokens.plain))
    packed = zip(packings_of(context), _sizes(context, kind, tokens.packed), strict=True)
    return plain + sum(packing.kept(size) + packing.scale for packing, size in packed)


def _sizes(context: Context, kind: LayerKind, tokens: int) -> tuple[int, int]:
    """Elements of the keys and of the values of so many tokens of every sequence, in one layer."""
    return _elements(kind, context.setting.batch_size * tokens)


def _elements(kind: LayerKind, tokens: int) -> tuple[int, int]:
    heads = kind.attention.key_value_heads
    return tokens * heads * kind.attention.head_dim, tokens * heads * kind.attention.value_head_dim
