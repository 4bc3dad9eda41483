"""The fields of a validation between the steps of training: data only, one entry a field."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Integer
from toolkit.spec.fields.result import OWN_LOOP

TRAINERS = ("transformers", "trl", OWN_LOOP)
LOSSES = ("cross-entropy", "from-logits", "chunked")
STRATEGIES = ("none", "ddp")
"""Stacks of which a validation is followed."""

_PASSES = ("activations", "logits", "kv_cache", "temporary", "time", "reserved", "device")


def validation_fields() -> Iterator[FieldSpec]:
    """Every field of `validation`."""
    yield FieldSpec(
        "validation.batch_size",
        Integer("a positive integer", 1, 10**6),
        "Sequences of a batch that is evaluated, without gradients, between steps of training; with any field of "
        "validation there is one. By default 8 with transformers and trl (per_device_eval_batch_size), otherwise "
        "batch_size.",
        ("8",),
        frozenset(_PASSES),
        "training",
    )
    yield FieldSpec(
        "validation.sequence_length",
        Integer("a positive integer", 1, 10**9),
        "Tokens of each of its sequences; by default sequence_length.",
        ("2048",),
        frozenset(_PASSES),
        "training",
    )
    yield FieldSpec(
        "validation.kept_batches",
        Integer("a whole number of batches", 0, 10**6),
        "Batches whose logits and labels transformers' Trainer keeps on the GPU until it joins them, as with "
        "compute_metrics: all of the set, or eval_accumulation_steps. 0 where losses alone are kept, and where "
        "preprocess_logits_for_metrics makes little of them.",
        ("100",),
        frozenset(("logits", "kv_cache", "time", "reserved", "device")),  # the cache of a pass that is fullest
        "training",
    )
