"""The fields that say how the samples of a batch lie in its rows: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Integer, one_of

UNPACKED, PADDING_FREE, ROWS = "none", "padding-free", "rows"
PACKINGS = {
    UNPACKED: "one sample a row",
    PADDING_FREE: "all of a batch in one row, kept apart by positions: TRL's padding_free and packing, axolotl's "
    "sample_packing, DataCollatorWithFlattening",
    ROWS: "several samples in each row, kept apart by positions",
}


def packing_fields() -> Iterator[FieldSpec]:
    """The form of packing, and how many samples a row has."""
    yield FieldSpec(
        "packing",
        one_of("a way of packing", PACKINGS),
        "How samples lie one after the other where no row is padded and none attends to another: batch_size times "
        "sequence_length tokens, with positions of their own and no mask of tokens.",
        (PADDING_FREE,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "training",
    )
    yield FieldSpec(
        "samples_per_row",
        Integer("a positive integer", 1, 10**6),
        "Samples that are packed into sequence_length tokens, by default one: FlashAttention's backward takes room "
        "for 128 tokens more for each.",
        ("8",),
        frozenset(("activations", "logits", "temporary")),
        "training",
    )
