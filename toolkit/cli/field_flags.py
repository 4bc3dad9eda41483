"""The flags of a scenario's fields, and how their text is read as YAML."""

from __future__ import annotations

import re

from toolkit.spec.fields.kind import Integer
from toolkit.spec.fields.named_kind import Targets
from toolkit.spec.fields.registry import FIELDS

_RANGE = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)")
_LIST_FIELDS = tuple(name for name, field in FIELDS.items() if isinstance(field.kind, Targets))
"""The fields whose value is itself a list: a,b is a single value."""


OTHER_FLAGS = {
    "--quantization": "--weights",
    "--dtype": "--weights",
    "--precision": "--weights",
    "--context-length": "--sequence-length",
    "--max-seq-length": "--sequence-length",
    "--seq-len": "--sequence-length",
    "--max-new-tokens": "--generated-length",
    "--num-gpus": "--parallel-gpus",
    "--gpus": "--gpu or --parallel-gpus",
    "--tensor-parallel-size": "--parallel-gpus with --parallel-strategy tensor",
    "--max-model-len": "--engine-max-model-len",
    "--gpu-memory-utilization": "--engine-gpu-memory-utilization",
    "--kv-cache-dtype": "--engine-kv-cache-dtype",
}
"""Flags of other tools, and their names here; used only to suggest the right one."""


def flag_of(field: str) -> str:
    """The flag of a field: "lora.rank" is --lora-rank."""
    return "--" + field.replace(".", "-").replace("_", "-")


def written(name: str, text: str) -> str:
    """The text of a flag as YAML: 1..8 is a range, 1,2,4 a list."""
    text = text.strip()
    field_range = _RANGE.fullmatch(text)
    if field_range and isinstance(FIELDS[name].kind, Integer):
        return f"{{from: {field_range[1]}, to: {field_range[2]}}}"
    if "," in text and text[:1] not in ("[", "{"):
        return f"[{text}]"
    if name in _LIST_FIELDS and text[:1] not in ("[", "{") and text != "all-linear":
        return f"[{text}]"
    return text
