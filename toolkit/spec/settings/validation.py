"""The validation of a setting: what is evaluated between steps of training, if anything is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from toolkit.spec.fields.value import Atom
from toolkit.spec.settings.setting import Validation

GROUP = "validation."
TRAINERS = ("transformers", "trl")
BATCH = 8
"""transformers' default of per_device_eval_batch_size (training_args.py)."""


def validation_of(said: Mapping[str, Atom], length: int) -> Validation | None:
    """The validation that fields say, of sequences of a `length` unless they say another; None where they say none."""
    if said["method"] == "inference" or not any(name.startswith(GROUP) for name in said):
        return None
    default = BATCH if said["stack.trainer"] in TRAINERS else said["batch_size"]
    return Validation(
        batch_size=cast("int", said.get("validation.batch_size", default)),
        sequence_length=cast("int", said.get("validation.sequence_length", length)),
        kept_batches=cast("int", said.get("validation.kept_batches", 0)),
    )
