"""A layer of Mamba as transformers runs it without mamba-ssm: first all decays and inputs, then token by token.

Source: transformers 5.23 modeling_mamba.py, MambaMixer.forward, mamba_selective_scan, mamba_selective_state_update.
Widths: I = the inner width, N = the width of a state. The state of each token is saved where a gradient flows.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.architecture.mixers import Mamba1
from toolkit.memory.formula.arrays import INPUT, RESULT, apply, per_token, plus, times
from toolkit.memory.formula.caches.cached import COPIES, READS
from toolkit.memory.formula.caches.cached import ROW as CACHE
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, activate, cast, letting_go, split, transposed
from toolkit.memory.formula.recurrence.convolution import ConvolutionForm, convolve
from toolkit.memory.formula.recurrence.rule_form import ROW, resized_to
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

FLOAT = BYTES["fp32"]


@frozen
class SelectiveForm:
    """A layer of Mamba as a tape needs it; `norm` is that of dt, B and C where these are normalized."""

    mamba: Mamba1
    inward: LinearForm
    chooses: LinearForm
    rate: LinearForm
    output: LinearForm
    convolution: ConvolutionForm
    norm: NormForm | None

    @property
    def each(self) -> Size:
        """A float32 number of every token for each number of the state."""
        return Size(token=self.mamba.state * FLOAT)

    @property
    def state(self) -> Size:
        """The state of each sequence."""
        return Size(sequence=self.mamba.state * FLOAT)


def selective(tape: Tape, x: Buffer, form: SelectiveForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    m = form.mamba
    whole = linear(tape, x, form.inward, ROW)
    inner, gate = split(tape, whole, (m.inner, m.inner))
    convolved = convolve(tape, inner, form.convolution)
    laid = transposed(tape, convolved)
    chosen = linear(tape, laid, form.chooses, ROW)
    tape.drop(laid)
    parts = split(tape, chosen, (m.rank, m.state_width, m.state_width))
    if form.norm is not None:
        parts = tuple(normalise(tape, one, form.norm) for one in parts)
    rate = linear(tape, parts[0], form.rate, ROW)
    if tape.cache == READS:
        read = _step(tape, convolved, form)
    else:
        read = _scan(tape, convolved, rate, parts[1], parts[2], gate, form)
    narrow = letting_go(tape, read, cast(tape, read, x.dtype, ROW))
    result = linear(tape, narrow, form.output, ROW)
    tape.drop(narrow, rate, chosen, *parts, convolved, whole)
    return result


def _scan(
    tape: Tape, x: Buffer, rate: Buffer, before: Buffer, after: Buffer, gate: Buffer, form: SelectiveForm
) -> Buffer:
    """What each token reads of the state, plus its input's part, times its gate (float32)."""
    shifted = apply(tape, rate, ROW)
    wide = cast(tape, shifted, "fp32" if form.inward.autocast else rate.dtype, ROW)
    steps = apply(tape, wide, ROW, INPUT)
    tape.drop(shifted, wide)
    decay, given, added = _discrete(tape, x, steps, before, form)
    read = _read(tape, decay, added, after, x, form)
    weight = tape.new(ROW, 0, "fp32", grad=form.convolution.trains, size=Size(fixed=form.mamba.inner * FLOAT))
    skipped = times(tape, x, weight, ROW, dtype="fp32")
    total = letting_go(tape, read, plus(tape, skipped, read, ROW))
    tape.drop(skipped, weight)
    active = activate(tape, gate, ROW)
    result = letting_go(tape, total, times(tape, total, active, ROW))
    tape.drop(active, steps, decay, given, added)
    return result


def _discrete(
    tape: Tape, x: Buffer, steps: Buffer, before: Buffer, form: SelectiveForm
) -> tuple[Buffer, Buffer, Buffer]:
    """exp(A * dt), dt * B, and the latter times x; each has one float32 number per number of a token's state."""
    trains = form.convolution.trains
    weight = tape.new(ROW, 0, "fp32", grad=trains, size=Size(fixed=form.mamba.state * FLOAT))
    exponent = _outer(tape, steps, weight, form)
    tape.drop(weight)
    decay = letting_go(tape, exponent, apply(tape, exponent, ROW, RESULT))
    inward = cast(tape, before, "fp32", ROW)
    given = _outer(tape, steps, inward, form)
    if inward is not before:
        tape.drop(inward)
    wide = cast(tape, x, "fp32", ROW)
    added = _outer(tape, given, wide, form)
    if wide is not x:
        tape.drop(wide)
    return decay, given, added


def _outer(tape: Tape, x: Buffer, y: Buffer, form: SelectiveForm) -> Buffer:
    """`x * y`, each broadcast over the other's dimensions; gradients are summed from products of full size."""
    saved = tape.save(*([x] if y.grad else []), *([y] if x.grad else []))
    result = tape.new(ROW, form.mamba.state, "fp32", grad=x.grad or y.grad, size=form.each)

    def backward(tape: Tape, _: Buffer) -> Given:
        full = [(one, tape.fresh(INCOMING, form.each, "fp32", form.mamba.state)) for one in (x, y) if one.grad]
        tape.returned()
        given: Given = []
        for one, whole in full:
            if one.size == form.each:
                given.append((one, whole))
                continue
            given.append((one, tape.gradient(one)))
            tape.discard(whole)
        return given

    return tape.node(result, backward, saved)


def _read(tape: Tape, decay: Buffer, added: Buffer, after: Buffer, x: Buffer, form: SelectiveForm) -> Buffer:
    """Token by token: the state, its copy in the compute dtype, and what is read of it; all reads stand as one.

    In backward each token puts its part of two gradients into zeros of their full size.
    """
    low = form.inward.autocast or x.dtype
    needs = decay.grad or added.grad
    size = form.each if needs and tape.records else form.state
    states = tape.new(ROW, 0, "fp32", size=size)
    narrow = tape.new(ROW, 0, low, size=resized_to(size, low) if low != "fp32" else Size())
    with tape.temporary(ROW, form.state):
        pass
    reads = tape.new(ROW, form.mamba.inner, low, size=per_token(form.mamba.inner, low))
    saved = tape.save(decay, states, narrow) if needs else ()
    result = tape.new(ROW, form.mamba.inner, low, grad=needs, size=per_token(form.mamba.inner, low))

    def backward(tape: Tape, _: Buffer) -> Given:
        sums = [(one, tape.gradient(one)) for one in (decay, added) if one.grad]
        with tape.temporary(INCOMING, form.each):
            return [*sums, *([(after, tape.gradient(after))] if after.grad else [])]

    tape.node(result, backward, saved)
    tape.drop(states, narrow)
    if tape.cache == COPIES:
        kept = tape.new(CACHE, 0, "fp32", size=form.state)
        kept.references += 1  # the cache's own
    tape.bound.append(reads)
    return result


def _step(tape: Tape, x: Buffer, form: SelectiveForm) -> Buffer:
    """One token: its decay, dt * B, that times x, and the new state."""
    made = [tape.new(ROW, 0, "fp32", size=form.state) for _ in ("decay", "given", "added")]
    with tape.temporary(ROW, form.state):
        total = tape.new(ROW, 0, "fp32", size=form.state)
    tape.drop(*made, total)
    return tape.new(ROW, form.mamba.inner, x.dtype, size=per_token(form.mamba.inner, x.dtype))
