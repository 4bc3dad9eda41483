"""A layer of Mamba 2: one projection, a short convolution, the scan, and a norm of the gated result.

Source: transformers 5.23 modeling_granitemoehybrid.py, GraniteMoeHybridMambaLayer and GraniteMoeHybridRMSNormGated.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.arrays import per_token, times
from toolkit.memory.formula.caches.cached import READS
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import ROW as NORMS
from toolkit.memory.formula.norms import NormForm, inverse_root, times_inverse, times_weight
from toolkit.memory.formula.operations import activate, cast, letting_go, scale, split, wider
from toolkit.memory.formula.recurrence.convolution import ConvolutionForm, convolve
from toolkit.memory.formula.recurrence.rule_form import ROW
from toolkit.memory.formula.recurrence.state_space import ScanForm, scan, scan_step
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class MambaForm:
    """A layer of Mamba 2 as a tape needs it."""

    inward: LinearForm
    output: LinearForm
    convolution: ConvolutionForm
    scan: ScanForm
    norm: NormForm | None  # of the gated result; some models have none (Falcon-H1)
    norms_first: bool = False  # before the gate (Falcon-H1)
    multiplied: str = ""  # dtype of the numbers that multiply the projection's result; one number multiplies its input


def mamba(tape: Tape, x: Buffer, form: MambaForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    m = form.scan.mamba
    scaled = scale(tape, x, ROW, constants=0) if form.multiplied else x
    whole = linear(tape, scaled, form.inward, ROW)
    if form.multiplied:
        whole = letting_go(tape, whole, scale(tape, whole, ROW, dtype=wider(whole.dtype, form.multiplied)))
    gate, inner, rate = split(tape, whole, (m.inner, m.convolved, m.heads))
    convolved = convolve(tape, inner, form.convolution)
    if scaled is not x:
        tape.drop(scaled)
    states = m.groups * m.state_width
    given, before, after = split(tape, convolved, (m.inner, states, states))
    if tape.cache == READS:
        scan_step(tape, form.scan, given.dtype)
        read = tape.new(ROW, m.inner, given.dtype, size=per_token(m.inner, given.dtype))
    else:
        read = scan(tape, given, rate, before, after, form.scan)
    normed = _gated(tape, read, gate, form, m.groups)
    tape.drop(read.base or read)
    normed = letting_go(tape, normed, cast(tape, normed, x.dtype, NORMS))
    result = linear(tape, normed, form.output, ROW)
    tape.drop(normed, convolved, whole)
    return result


def _gated(tape: Tape, x: Buffer, gate: Buffer, form: MambaForm, groups: int) -> Buffer:
    """X * silu(gate), in the wider of their dtypes; or with a norm, before or after it."""
    if form.norm is not None and form.norms_first:
        return _normed_first(tape, x, gate, form.norm, groups)
    if form.norm is not None:
        return _gated_norm(tape, x, gate, form.norm, groups)
    active = activate(tape, gate, ROW)
    result = times(tape, x, active, ROW)
    tape.drop(active)
    return result


def _normed_first(tape: Tape, x: Buffer, gate: Buffer, form: NormForm, groups: int) -> Buffer:
    """Weight * norm(x) * silu(gate), in float32 (modeling_falcon_h1.py, FalconH1RMSNormGated)."""
    wide = cast(tape, x, "fp32", NORMS)
    inverse = inverse_root(tape, wide, groups)
    scaled = times_inverse(tape, wide, inverse)
    tape.drop(inverse, *(() if wide is x else (wide,)))
    weighted = letting_go(tape, scaled, times_weight(tape, scaled, "fp32", form))
    wide_gate = cast(tape, gate, "fp32", NORMS)
    active = activate(tape, wide_gate, NORMS)
    tape.drop(*(() if wide_gate is gate else (wide_gate,)))
    result = times(tape, weighted, active, NORMS)
    tape.drop(weighted, active)
    return letting_go(tape, result, cast(tape, result, x.dtype, NORMS))


def _gated_norm(tape: Tape, x: Buffer, gate: Buffer, form: NormForm, groups: int) -> Buffer:
    """Weight * norm(x * silu(gate)), over so many groups of each token, in float32 except for the weight."""
    given = cast(tape, x, "fp32", NORMS)
    wide_gate = cast(tape, gate, "fp32", NORMS)
    active = activate(tape, wide_gate, NORMS)
    if wide_gate is not gate:
        tape.drop(wide_gate)
    wide = times(tape, given, active, NORMS)
    tape.drop(active)
    if given is not x:
        tape.drop(given)
    inverse = inverse_root(tape, wide, groups)
    scaled = times_inverse(tape, wide, inverse)
    tape.drop(wide, inverse)
    narrow = cast(tape, scaled, x.dtype, NORMS)
    result = times_weight(tape, narrow, wider(x.dtype, form.dtype), form)
    tape.drop(narrow, scaled)
    return result
