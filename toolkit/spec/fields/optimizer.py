"""The fields that say when an optimizer steps, and where activations wait for it: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Boolean


def optimizer_fields() -> Iterator[FieldSpec]:
    """Whether each parameter is updated as soon as its gradient is there, and activations go to main memory."""
    yield FieldSpec(
        "optimizer_in_backward",
        Boolean(),
        "Whether every parameter has an optimizer of its own that steps as soon as its gradient is there, which is "
        "then freed (torchtune's optimizer_in_bwd).",
        ("true",),
        frozenset(("gradients", "temporary", "time")),
        "training",
    )
    yield FieldSpec(
        "activation_offloading",
        Boolean(),
        "Whether what forward keeps for backward goes to main memory meanwhile (TRL's activation_offloading, "
        "torchtune's enable_activation_offloading; in a plain loop a checkpoint that takes inputs of layers there).",
        ("true",),
        frozenset(("activations", "logits", "temporary", "time")),
        "training",
    )
