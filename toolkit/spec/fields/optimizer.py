"""The fields that say when an optimizer steps, and where activations wait for it: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Boolean


def optimizer_fields() -> Iterator[FieldSpec]:
    """Whether parameters are updated during backward, and whether activations are offloaded to main memory."""
    yield FieldSpec(
        "optimizer_in_backward",
        Boolean(),
        "Whether every parameter has its own optimizer, which steps as soon as its gradient is complete and then "
        "frees it (torchtune's optimizer_in_bwd).",
        ("true",),
        frozenset(("gradients", "temporary", "time")),
        "training",
    )
    yield FieldSpec(
        "activation_offloading",
        Boolean(),
        "Whether tensors saved for backward are moved to main memory (TRL's activation_offloading, torchtune's "
        "enable_activation_offloading; in a plain loop a checkpoint that moves the inputs of layers there).",
        ("true",),
        frozenset(("activations", "logits", "temporary", "time")),
        "training",
    )
