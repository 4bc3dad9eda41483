"""What a prompt leaves in a static or a quantized cache, and what attention gets.

Source: transformers 5.23 cache_utils.py, StaticLayer, StaticSlidingWindowLayer, QuantizedLayer, Fp8QuantizedLayer.
"""

from __future__ import annotations

from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.keeping import Keeping, Packing, whole
from toolkit.memory.tape.tape import Tape

ROW = "kv_cache"
PACKING = "cache_packing"
UNPACKED = "unpacked_cache"


def kept_otherwise(tape: Tape, keeping: Keeping, parts: tuple[Buffer, ...]) -> tuple[Buffer, ...]:
    """The keys and values that attention gets; the tape also has what the cache takes for them."""
    if keeping.packing is not None:
        copied = keeping.key_copied, keeping.value_copied
        for part, packing, copies in zip(parts, keeping.packing, copied, strict=True):
            _packed(tape, part, packing, copied=copies and packing.copies)
        return parts
    rooms = tuple(_room(tape, part, keeping.room) for part in parts)
    if keeping.hands_back:
        return parts
    tape.drop(*parts)
    return rooms


def unpacked(tape: Tape, parts: tuple[Buffer, ...]) -> tuple[Buffer, ...]:
    """Keys and values of all tokens in their own dtype, concatenated for one layer at a time."""
    tape.drop(*parts)
    return tuple(
        tape.new(UNPACKED, part.width, part.dtype, size=Size(pair=part.width * BYTES[part.dtype])) for part in parts
    )


def _room(tape: Tape, part: Buffer, tokens: int) -> Buffer:
    room = tape.new(ROW, part.width, part.dtype, size=Size(sequence=tokens * part.width * BYTES[part.dtype]))
    room.references += 1  # the cache's own
    return room


def _packed(tape: Tape, part: Buffer, packing: Packing, *, copied: bool) -> None:
    copy = tape.new(PACKING, part.width, part.dtype) if copied else None
    kept = tape.new(ROW, part.width, part.dtype, size=Size(token=packing.kept(part.width)))
    kept.references += 1  # the cache's own
    tape.drop(kept)
    with tape.temporary(PACKING, Size(token=whole(part.width * packing.packs))):
        pass
    if copy is not None:
        tape.drop(copy)
