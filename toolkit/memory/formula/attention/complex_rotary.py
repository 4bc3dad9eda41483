"""Rotary embedding by complex numbers: float32 copies of queries and keys are multiplied, and cast back together.

Source: transformers 5.23 modeling_llama4.py, apply_rotary_emb.
"""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import STATES
from toolkit.memory.formula.operations import cast, scale
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROTARY = "rotary_states"
COMPLEX = "complex"
"""Its name in a layout."""
COMPLEX_BYTES = 8
"""Bytes of one angle, a complex number of two float32; there is one for each two columns of a head."""


def turned_by_complex(tape: Tape, query: Buffer, key: Buffer) -> tuple[Buffer, Buffer]:
    """Rotated queries and keys; drops the originals."""
    parts = (query, key)
    wide = [cast(tape, part, "fp32", ROTARY) for part in parts]
    products = [scale(tape, one, ROTARY) for one in wide]
    results = [cast(tape, one, part.dtype, STATES) for one, part in zip(products, parts, strict=True)]
    tape.drop(*wide, *(one for one in products if one not in results), *parts)
    return results[0], results[1]
