"""The fields that say how the samples of a batch are laid out in its rows: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Integer, one_of

UNPACKED, PADDING_FREE, ROWS = "none", "padding-free", "rows"
PACKINGS = {
    UNPACKED: "one sample in each row",
    PADDING_FREE: "the whole batch in one row, kept apart by positions: TRL's padding_free and packing, axolotl's "
    "sample_packing, DataCollatorWithFlattening",
    ROWS: "several samples in each row, kept apart by positions",
}


def packing_fields() -> Iterator[FieldSpec]:
    """The form of packing, and how many samples a row has."""
    yield FieldSpec(
        "packing",
        one_of("a way of packing", PACKINGS),
        "How samples are joined without padding, so that none attends to another: batch_size times sequence_length "
        "tokens, each sample with positions of its own, and no attention mask.",
        (PADDING_FREE,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "training",
    )
    yield FieldSpec(
        "samples_per_row",
        Integer("a positive integer", 1, 10**6),
        "How many samples are packed into sequence_length tokens, by default one: FlashAttention's backward takes "
        "memory for 128 more tokens per sample.",
        ("8",),
        frozenset(("activations", "logits", "temporary")),
        "training",
    )
