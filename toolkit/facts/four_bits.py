"""Copies of models that bitsandbytes has quantized to NF4: told by their names, of which there are thousands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FOUR_BIT_COPIES: Mapping[str, str] = json.loads(
    (Path(__file__).parent / "data" / "four_bit_copies.json").read_text("utf-8")
)
"""Ids of copies that are called otherwise than these (unslothai/unsloth unsloth/models/mapper.py @015bdef0d9)."""

FOUR_BITS = "-bnb-4bit"
MIXED = "-unsloth-bnb-4bit"
"""How names of copies end: of the second kind, some layers are left in 16 bits, and only their configs say which."""

IN_NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
"""What the config of a copy says of its weights."""


def copied_in_four_bits(name: str, aliases: Mapping[str, str]) -> str | None:
    """The id that a name says to be a copy of in NF4, whether or not it is known; `aliases` are other names of ids."""
    if not name.endswith(FOUR_BITS) or name.endswith(MIXED):
        return None
    stem = name.removesuffix(FOUR_BITS)
    return FOUR_BIT_COPIES.get(name) or aliases.get(stem, stem)
