"""An RMSNorm over heads, whose result is multiplied by the activation of a gate.

Source: transformers 5.23 modeling_qwen3_5.py, Qwen3_5RMSNormGated.
"""

from __future__ import annotations

from toolkit.memory.formula.arrays import times
from toolkit.memory.formula.norms import ROW as NORMS
from toolkit.memory.formula.norms import NormForm, inverse_root, times_inverse, times_weight
from toolkit.memory.formula.operations import activate, cast, letting_go, wider
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


def gated_norm(tape: Tape, x: Buffer, gate: Buffer, form: NormForm, heads: int) -> Buffer:
    """Weight * norm(x) * silu(gate), in float32 except for the weighted norm, and cast back; drops `x`."""
    wide = cast(tape, x, "fp32", NORMS)
    inverse = inverse_root(tape, wide, heads)
    scaled = times_inverse(tape, wide, inverse)
    tape.drop(wide, inverse)
    narrow = cast(tape, scaled, x.dtype, NORMS)
    weighted = times_weight(tape, narrow, wider(x.dtype, form.dtype), form, heads)
    tape.drop(narrow, scaled)
    wide_gate = cast(tape, gate, "fp32", NORMS)
    active = activate(tape, wide_gate, NORMS)
    if wide_gate is not gate:
        tape.drop(wide_gate)
    result = times(tape, weighted, active, NORMS)
    tape.drop(weighted, active)
    result = letting_go(tape, result, cast(tape, result, x.dtype, NORMS))
    tape.drop(x)
    return result
