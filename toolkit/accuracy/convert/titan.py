"""The rule of torchtitan's readings: its mixed precision, its checkpoints by operation, and what a compiler changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record

COMPILED = re.compile(r"torch\.compile(?!=False)")
"""What a configuration or its notes say where a compiler made the layers' code."""

SELECTIVE = "selective (op)"

VERSIONS: Mapping[str, str] = {"git 9dec370": "0.0.2"}
"""What assets/version.txt says at a commit that a record names."""


def torchtitan(draft: Draft, record: Record, _reading: dict[str, Any]) -> None:
    """Pre-training by torchtitan: weights in float32, products in bfloat16, gradients reduced in float32."""
    draft.say("stack.trainer", "torchtitan")
    draft.say("amp", True)
    draft.say("stack.torchtitan", VERSIONS.get((record.get("versions") or {}).get("torchtitan", "")))
    if (record["gradient_checkpointing"] or "").startswith(SELECTIVE):
        draft.say("gradient_checkpointing", "selective")
        draft.beyond.pop("gradient_checkpointing", None)
    if record["quantization"]:
        draft.beyond["products"] = record["quantization"]
    if COMPILED.search(f"{record['config_id']} {record['notes'] or ''}"):
        draft.beyond["kernels"] = "torch.compile"
