"""The fields of LoRA's variants in which a matrix is frozen or block-diagonal: data only, one entry a field."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import names
from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Integer, one_of
from toolkit.spec.fields.named_kind import ModuleNames

_STEADY = frozenset({"gradients", "optimizer_states", "parameters"})
_PASSING = frozenset({"activations", "logits", "temporary", "time"})


def lora_forms() -> Iterator[FieldSpec]:
    """Which matrix is frozen, and which are block-diagonal."""
    yield FieldSpec(
        "lora.frozen",
        one_of("a matrix of an adapter", names.LORA_FROZEN, nullable=True),
        "Which of an adapter's two matrices is frozen; null for none, or for A where the optimizer is lora_fa.",
        ("b",),
        _STEADY | _PASSING,
        "adapters",
    )
    yield FieldSpec(
        "lora.blocks",
        Integer("a positive integer", 1, 65_536),
        "BD-LoRA: how many diagonal blocks a matrix is made of; 1 for a whole matrix.",
        ("2",),
        _STEADY | _PASSING | {"adapters"},
        "adapters",
    )
    for matrix, examples in (("a", "[o_proj, down_proj]"), ("b", "[q_proj, up_proj]")):
        yield FieldSpec(
            f"lora.blocked_{matrix}",
            ModuleNames(),
            f"BD-LoRA: parts of the names of modules whose {matrix.upper()} is block-diagonal.",
            (examples,),
            _STEADY | _PASSING | {"adapters"},
            "adapters",
        )
