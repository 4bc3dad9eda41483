"""Copies of models that bitsandbytes has quantized to NF4: there are thousands, and their names say what they copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FOUR_BIT_COPIES: Mapping[str, str] = json.loads(
    (Path(__file__).parent / "data" / "four_bit_copies.json").read_text("utf-8")
)
"""What is copied, where a copy's name does not say it (unslothai/unsloth unsloth/models/mapper.py @015bdef0d9)."""

FOUR_BITS = "-bnb-4bit"
MIXED = "-unsloth-bnb-4bit"
"""The endings of such names. Copies of the second kind keep some layers in 16 bit; only their configs say which."""

IN_NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
"""The quantization in the config of such a copy."""


def copied_in_four_bits(name: str, aliases: Mapping[str, str]) -> str | None:
    """The id of the model that `name` is an NF4 copy of, known or not; None for other names. `aliases`: name -> id."""
    if not name.endswith(FOUR_BITS) or name.endswith(MIXED):
        return None
    stem = name.removesuffix(FOUR_BITS)
    return FOUR_BIT_COPIES.get(name) or aliases.get(stem, stem)
