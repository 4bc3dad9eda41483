"""Known changes between releases of transformers, by the part of a peak that they move."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.libraries.transformers_versions import (
    FLASH_REPEATS_UNTIL,
    GENERATION_UPCASTS_UNTIL,
    HOLDS_RESULT_UNTIL,
    LOSS_SHIFTS_UNTIL,
    ROTARY_CACHED_UNTIL,
    UPCASTS_UNTIL,
)


@frozen
class Effect:
    """A change in release `since` that moves one part of the peak of some methods."""

    since: Version
    part: str
    methods: tuple[str, ...]
    text: str


TRAINING = ("full", "lora", "qlora")
EVERY = ("inference", *TRAINING)
EFFECTS = (
    Effect(
        HOLDS_RESULT_UNTIL, "kv_cache", ("inference",), "a step's result, with its cache, goes before the next is made"
    ),
    Effect(GENERATION_UPCASTS_UNTIL, "logits", ("inference",), "of a prompt the last logits alone are worked out"),
    Effect(UPCASTS_UNTIL, "logits", TRAINING, "the 16-bit logits stay beside their float32 copy"),
    Effect(
        max(ROTARY_CACHED_UNTIL.values()), "weights", EVERY, "layers no longer keep sines of all positions, by family"
    ),
    Effect(FLASH_REPEATS_UNTIL, "activations", EVERY, "flash attention repeats no keys and values, in some families"),
    Effect(LOSS_SHIFTS_UNTIL, "logits", TRAINING, "the loss takes no shifted copy of the logits"),
    Effect(Version("5"), "weights", ("qlora",), "experts are one parameter, which bitsandbytes leaves in 16 bit"),
)


def effects(stated: str, installed: str, part: str, method: str) -> Iterator[Effect]:
    """The changes between two releases that move a part of a method's peak."""
    for one in EFFECTS:
        if one.part == part and method in one.methods and Version(stated) < one.since <= Version(installed):
            yield one
