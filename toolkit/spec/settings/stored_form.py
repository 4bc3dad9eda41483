"""The form of weights in which a published checkpoint is stored, from its config."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.facts.models import load_model
from toolkit.facts.names import UnknownName

_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_ENDINGS = {
    "awq-int4": re.compile(r"-AWQ(-INT4)?$", re.IGNORECASE),
    "gptq-int8": re.compile(r"-GPTQ-(Int8|8bit)$", re.IGNORECASE),
    "gptq-int4": re.compile(r"-GPTQ(-Int4|-4bit)?$", re.IGNORECASE),
    "nf4": re.compile(r"(-unsloth)?-bnb-4bit$", re.IGNORECASE),
    "fp8": re.compile(r"-FP8(-dynamic)?$", re.IGNORECASE),
}
"""The endings of names of quantized copies of a model."""


def stored_form(config: Mapping[str, Any], dtype: str | None = None) -> str | None:
    """The form that a checkpoint is in by its config, or else by the torch name of its dtype; None where unsaid.

    Source: `quantization_config` of a config.json, whose `quant_method` names the loader (transformers
    quantizers/auto.py), and `dtype`, before transformers 5 `torch_dtype`.
    """
    said = config.get("quantization_config")
    if isinstance(said, Mapping):
        return _quantized(said)
    written = config.get("dtype") or config.get("torch_dtype") or dtype
    return _DTYPES.get(written) if isinstance(written, str) else None


def _quantized(said: Mapping[str, Any]) -> str | None:
    method, bits = str(said.get("quant_method", "bitsandbytes")).lower(), said.get("bits", 4)
    if method in ("fp8", "mxfp4"):
        return method
    if method == "awq":
        return "awq-int4" if bits == 4 else None
    if method == "gptq":
        return f"gptq-int{bits}" if bits in (4, 8) else None
    if method == "bitsandbytes":
        kind = said.get("bnb_4bit_quant_type", "fp4")
        return str(kind) if said.get("load_in_4bit") and kind in ("nf4", "fp4") else _eight_bit(said)
    return None


def _eight_bit(said: Mapping[str, Any]) -> str | None:
    return "int8" if said.get("load_in_8bit") else None


def quantized_from(name: str) -> Iterator[tuple[str, str]]:
    """The known model that an unknown id is a quantized copy of, by its name, and the form of weights that it names."""
    for form, ending in _ENDINGS.items():
        whole = ending.sub("", name)
        if whole == name:
            continue
        found = load_model(whole)
        tail = whole.casefold().rpartition("/")[2]
        known = found.nearest if isinstance(found, UnknownName) else (whole,)
        same = [one for one in known if one.casefold().rpartition("/")[2] == tail]
        if same:
            yield same[0], form
            return
