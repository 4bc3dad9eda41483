"""What a prompt leaves in the cache of keys and values.

Source: transformers cache_utils.py, DynamicLayer.update: since 4.56 a new layer concatenates an empty tensor and the
keys into a new one, which attention gets; before, it kept the keys themselves.
"""

from __future__ import annotations

from toolkit.memory.formula.caches.kept_otherwise import kept_otherwise, unpacked
from toolkit.memory.formula.operations import Given, letting_go, resized, transposed, wider
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "kv_cache"
COPIES = "copies"
KEEPS = "keeps"
READS = "reads"
HOLDS = "holds"
NAMES = "names"
STATIC = "static"
PACKS = "packs"
"""While tokens are decoded: each attends to all tokens in the cache."""

LAID_OUT = (COPIES, HOLDS, READS, STATIC)
"""The kinds for which a cache lays keys and values out with heads before positions."""


def cached(tape: Tape, *parts: Buffer) -> tuple[Buffer, ...]:
    """Keys and values as the cache has them, which it holds from here on; unchanged where nothing is cached."""
    if tape.keeping is not None and tape.cache in (STATIC, PACKS):
        return kept_otherwise(tape, tape.keeping, parts)
    if tape.keeping is not None and tape.keeping.packing is not None:
        return unpacked(tape, parts)
    if tape.records and tape.cache == HOLDS:
        return tuple(_held(tape, part, wider(part.dtype, parts[0].dtype)) for part in parts)
    if tape.records and tape.cache == NAMES:
        for part in parts:
            tape.hold(part.base or part)
        return parts
    if tape.records and tape.cache:
        return tuple(_named(tape, part) for part in parts)
    if tape.cache == COPIES:
        copies = tuple(_of_cache(tape, part, wider(part.dtype, parts[0].dtype)) for part in parts)
        tape.drop(*parts)
        return copies
    if tape.cache == KEEPS:
        return tuple(_kept(tape, part) for part in parts)
    return parts


def _named(tape: Tape, part: Buffer) -> Buffer:
    """In training: the tensors themselves or a copy, which stay until the loop gets the next result."""
    if tape.cache == COPIES:
        part = letting_go(tape, part, transposed(tape, part))
    tape.pin(part)
    return part


def _held(tape: Tape, part: Buffer, dtype: str) -> Buffer:
    """In training, copies in a cache that the model's result holds, which a trainer drops before backward.

    Values are as wide as keys, whose dtype an empty cache takes (cache_utils.py, DynamicLayer.lazy_initialization).
    """
    copy = tape.new(part.row, part.width, dtype, grad=part.grad, size=resized(part, dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(part, tape.share(gradient, part))]

    tape.node(copy, backward)
    tape.drop(part)
    tape.hold(copy)
    return copy


def _kept(tape: Tape, part: Buffer) -> Buffer:
    """The same memory, now held by the cache; for a view, that of the whole tensor."""
    if part.base is not None:
        part.base.references += 1
        return part
    kept = tape.renamed(part, ROW)
    kept.references += 1  # the cache's own
    return kept


def _of_cache(tape: Tape, part: Buffer, dtype: str) -> Buffer:
    """A copy; values are as wide as keys (see _held)."""
    copy = tape.new(ROW, part.width, dtype, size=resized(part, dtype))
    copy.references += 1  # the cache's own
    return copy
