"""What is known of one field of a scenario."""

from __future__ import annotations

from typing import Literal

from toolkit.frozen import frozen
from toolkit.spec.fields.kind import Kind

Applies = Literal[
    "always", "training", "inference", "adapters", "peft", "galore", "4-bit", "groups", "vllm", "autoawq",
    "deepspeed", "zero3", "fsdp", "fsdp or fsdp2", "shards", "pipeline", "static cache", "quantized cache",
    "preferences", "answers", "device context",
]  # fmt: skip


@frozen
class FieldSpec:
    """One field of a scenario.

    `affects` names the row categories that it moves, and "parameters", "reserved", "device" (memory beyond
    the rows), "time" and "identity" (which evidence is about the same thing, and nothing else). What is held from
    step to step moves with no field that does not name it, and with each that does; activations, logits and what is
    there for a moment follow whatever decides which moment is the fullest, too. `applies`
    says to which scenarios the field belongs: elsewhere a value of its own is a contradiction, and an
    inherited one is left out.
    """

    name: str
    kind: Kind
    doc: str
    examples: tuple[str, ...]
    affects: frozenset[str]
    applies: Applies = "always"
