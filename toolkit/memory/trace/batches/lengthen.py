"""A cache as it is many tokens later, so that long generations are traced by a few of their steps.

A step of generation takes what the cache of all tokens before it asks for, and nothing else changes from one step to
the next: with the cache of a later step, the model's code runs that later step.
"""

from __future__ import annotations

from typing import Any

import torch

from toolkit.memory.trace.releases import cache_parts, has_keys, is_double

FIRST = 3
"""Steps that are run as they come: from the second, nothing of the prompt's pass is left but its cache."""
LAST = 2
"""Steps that are run after each leap, the last of which is like all around it."""
STATIONS = 4
"""Leaps: the last ends at the last steps, which need most; those before let the allocator see the cache grow."""
COUNTERS = ("_seen_tokens", "seen_tokens", "cumulative_length", "cumulative_length_int")
"""Where caches count the tokens that they were given, by release (transformers/cache_utils.py)."""

Shapes = list[tuple[int, ...]]
Axes = list[int | None]


def leap(done: int, steps: int) -> int:
    """How many steps may be left out after so many of them; 0 where the next one is to be run."""
    if steps_run(steps) == steps:
        return 0
    between = steps - FIRST
    ends = [FIRST + between * number // STATIONS for number in range(1, STATIONS + 1)]
    starts = [FIRST, *ends[:-1]]
    return next((end - LAST - done for start, end in zip(starts, ends, strict=True) if done == start), 0)


def steps_run(steps: int) -> int:
    """How many of so many steps are run where later ones can be told from the first."""
    return min(steps, FIRST + STATIONS * LAST) if steps > FIRST + STATIONS * (LAST + 1) else steps


def shapes(cache: Any) -> Shapes:
    """The shapes of all that a cache holds."""
    return [tuple(part.shape) for part in cache_parts(_own(cache))]


def growing(before: Shapes, after: Shapes) -> Axes | None:
    """The axis along which each part became longer by one token, None for one that kept its shape.

    None in place of all where a part changed otherwise, or none is seen: then no later step can be told from these.
    """
    if not before or len(before) != len(after):
        return None
    axes: Axes = []
    for old, new in zip(before, after, strict=True):
        if old == new:
            axes.append(None)
            continue
        changed = [axis for axis, (one, other) in enumerate(zip(old, new, strict=False)) if one != other]
        if len(old) != len(new) or len(changed) != 1 or new[changed[0]] != old[changed[0]] + 1:
            return None
        axes.append(changed[0])
    return axes


def lengthened(cache: Any, axes: Axes, tokens: int) -> Any:
    """The cache with so many tokens more: itself, changed in place, or new tuples where it is made of tuples."""
    own = _own(cache)
    left = iter(axes)
    if hasattr(own, "layers"):
        for layer in filter(has_keys, own.layers):
            most = _window(layer)
            layer.keys = _longer(layer.keys, next(left), tokens, most)
            layer.values = _longer(layer.values, next(left), tokens, most)
            _count(layer, tokens)
    elif hasattr(own, "key_cache"):
        count = len(own.key_cache)
        for index in range(count):
            own.key_cache[index] = _longer(own.key_cache[index], axes[index], tokens, None)
            own.value_cache[index] = _longer(own.value_cache[index], axes[count + index], tokens, None)
    else:
        return tuple(tuple(_longer(part, next(left), tokens, None) for part in layer) for layer in own)
    _count(own, tokens)
    return cache


def _own(cache: Any) -> Any:
    """What grows of a cache: in an encoder-decoder, that of the decoder's own tokens."""
    return cache.self_attention_cache if is_double(cache) else cache


def _longer(part: torch.Tensor, axis: int | None, tokens: int, most: int | None) -> torch.Tensor:
    """A part with more tokens, up to a window."""
    if axis is None:
        return part
    shape = list(part.shape)
    shape[axis] += tokens
    if most is not None:
        shape[axis] = min(shape[axis], most)
    return torch.empty(shape, dtype=part.dtype, device=part.device)


def _window(layer: Any) -> int | None:
    """The most tokens that a layer keeps (DynamicSlidingWindowLayer.update: one less than its window)."""
    window = getattr(layer, "sliding_window", None)
    return window - 1 if isinstance(window, int) else None


def _count(kept: Any, tokens: int) -> None:
    for name in COUNTERS:
        known = vars(kept).get(name)
        if isinstance(known, int):
            setattr(kept, name, known + tokens)
