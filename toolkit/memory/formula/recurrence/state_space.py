"""The scan of Mamba 2 in transformers' torch operations: by chunks, within which tokens interact in pairs.

Source: transformers 5.23 modeling_granitemoehybrid.py, mamba2_chunk_scan, segment_sum, mamba2_selective_state_update;
torch.einsum, which permutes operands for one batched product (aten/src/ATen/native/Linear.cpp, sumproduct_pair). The
decay between chunks, one number for every two chunks, is left out. All is float32.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.architecture.mixers import Mamba2
from toolkit.memory.formula.arrays import INPUT, RESULT, apply, constant, copied, part, plus, product, rearranged, times
from toolkit.memory.formula.caches.cached import COPIES
from toolkit.memory.formula.caches.cached import ROW as CACHE
from toolkit.memory.formula.operations import Given, cast, letting_go
from toolkit.memory.formula.recurrence.rule_form import ROW, resized_to
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

FLOAT = BYTES["fp32"]


@frozen
class ScanForm:
    """A scan as a tape needs it: its dimensions, autocast's dtype, whether D is trained, and the last chunk padded."""

    mamba: Mamba2
    ragged: bool
    trains: bool
    autocast: str | None = None

    def padded(self, width: int) -> Size:
        """So many float32 numbers for each token of whole chunks."""
        return Size(piece=self.mamba.piece * width * FLOAT)

    @property
    def state(self) -> Size:
        """The state of each sequence."""
        return Size(sequence=self.mamba.state * FLOAT)

    @property
    def states(self) -> Size:
        """The state before each chunk, and the last."""
        return Size(piece=self.mamba.state * FLOAT, sequence=self.mamba.state * FLOAT)


def scan(tape: Tape, x: Buffer, rate: Buffer, inward: Buffer, outward: Buffer, form: ScanForm) -> Buffer:
    """What each token reads of the state (float32); the caller keeps x, dt, B and C."""
    m, low = form.mamba, form.autocast
    states_width = m.heads * m.state_width
    steps, narrow_steps = _steps(tape, rate, form)
    wide = cast(tape, x, "fp32", ROW)
    before, after = (_repeated(tape, one, form) for one in (inward, outward))
    skipped = _skipped(tape, wide, form)
    given = letting_go(tape, wide, times(tape, wide, steps, ROW)) if wide is not x else times(tape, wide, steps, ROW)
    decay = _decay(tape, narrow_steps, form)
    chunks = [copied(tape, given, ROW, form.padded(m.inner)), copied(tape, decay, ROW, form.padded(m.heads))]
    chunks += [copied(tape, one, ROW, form.padded(states_width)) for one in (before, after)]
    tape.drop(given, decay, before, after)
    given, decay, before, after = chunks
    total = apply(tape, decay, ROW, beside=1)
    falling = _falling(tape, decay, form)
    pairs = resized_to(form.padded(m.heads * m.piece), low or "fp32")
    scores = product(tape, after, before, ROW, pairs, low=low, strided="both")
    weighed = times(tape, scores, falling, ROW, dtype="fp32")
    short = resized_to(form.padded(m.inner), low or "fp32")
    within = product(tape, weighed, given, ROW, short, low=low, strided="right")
    left = apply(tape, total, ROW, RESULT)
    decayed = times(tape, before, left, ROW)
    each = resized_to(Size(piece=m.state * FLOAT), low or "fp32")
    states = product(tape, decayed, given, ROW, each, low=low, strided="both")
    before_all = constant(tape, ROW, form.state)
    states = _passed_on(tape, states, form)
    risen = apply(tape, total, ROW, RESULT)
    first = part(tape, states, each)
    read = product(tape, after, first, ROW, short, low=low, strided="both")
    across = times(tape, read, risen, ROW, dtype="fp32")
    result = plus(tape, across, within, ROW)
    result = letting_go(tape, result, rearranged(tape, result, ROW))
    result = letting_go(tape, result, plus(tape, result, skipped, ROW))
    tape.drop(
        before_all,
        *chunks,
        steps,
        narrow_steps,
        total,
        falling,
        scores,
        weighed,
        within,
        left,
        decayed,
        risen,
        read,
        across,
        skipped,
    )
    if tape.cache == COPIES:
        kept = tape.new(CACHE, 0, "fp32", size=form.state)
        kept.references += 1  # the cache's own
    tape.drop(states)
    return _of_tokens(tape, result, form)


def _steps(tape: Tape, rate: Buffer, form: ScanForm) -> tuple[Buffer, Buffer]:
    """softplus(dt + bias), clamped, in float32 and in its own dtype, which autocast has already made float32."""
    total = apply(tape, rate, ROW)
    if form.autocast is not None:
        total = letting_go(tape, total, cast(tape, total, "fp32", ROW))
    soft = letting_go(tape, total, apply(tape, total, ROW, INPUT))
    clamped = letting_go(tape, soft, apply(tape, soft, ROW, INPUT, beside=1))
    return cast(tape, clamped, "fp32", ROW), clamped


def _decay(tape: Tape, steps: Buffer, form: ScanForm) -> Buffer:
    """A * dt, in float32; saves dt where A is trained."""
    wide = cast(tape, steps, "fp32", ROW)
    weight = tape.new(ROW, 0, "fp32", grad=form.trains, size=Size(fixed=form.mamba.heads * FLOAT))
    result = times(tape, wide, weight, ROW)
    tape.drop(weight)
    if wide is not steps:
        tape.drop(wide)
    return result


def _repeated(tape: Tape, x: Buffer, form: ScanForm) -> Buffer:
    """A float32 copy, repeated for every head that shares it."""
    m = form.mamba
    wide = cast(tape, x, "fp32", ROW)
    result = copied(tape, wide, ROW, Size(token=m.heads * m.state_width * FLOAT))
    if wide is not x:
        tape.drop(wide)
    return result


def _skipped(tape: Tape, wide: Buffer, form: ScanForm) -> Buffer:
    """D times the padded input, which is saved where D is trained."""
    m = form.mamba
    padded = copied(tape, wide, ROW, form.padded(m.inner))
    weight = tape.new(ROW, 0, "fp32", grad=form.trains, size=Size(fixed=m.heads * FLOAT))
    result = times(tape, padded, weight, ROW)
    tape.drop(padded, weight)
    return result


def _falling(tape: Tape, decay: Buffer, form: ScanForm) -> Buffer:
    """exp(segment_sum(A)): the decay between every two tokens of a chunk."""
    m = form.mamba
    mask = Size(fixed=m.piece**2)
    first = _masked(tape, decay, form.padded(m.heads * m.piece), mask)
    sums = apply(tape, first, ROW, beside=1)
    second = _masked(tape, sums, sums.size, mask)
    tape.drop(sums, first)
    return letting_go(tape, second, apply(tape, second, ROW, RESULT))


def _masked(tape: Tape, x: Buffer, size: Size, mask: Size) -> Buffer:
    """masked_fill, which saves the mask."""
    with tape.temporary(ROW, mask.times(2)):
        kept = tape.new(ROW, 0, "bool", size=mask)
    saved = tape.save(kept) if x.grad else ()
    result = tape.new(ROW, 0, "fp32", grad=x.grad, size=size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        filled = tape.fresh(gradient.row, size, "fp32")
        if size == x.size:
            return [(x, filled)]
        own = tape.gradient(x)
        tape.discard(filled)
        return [(x, own)]

    tape.node(result, backward, saved)
    tape.drop(kept)
    return result


def _passed_on(tape: Tape, states: Buffer, form: ScanForm) -> Buffer:
    """The state before each chunk: the first state and the chunks' additions, concatenated, times the decay."""
    low = form.autocast
    joined = letting_go(tape, states, copied(tape, states, ROW, resized_to(form.states, low or "fp32")))
    decay = tape.new(ROW, 0, joined.dtype, grad=joined.grad, size=Size())
    result = product(tape, decay, joined, ROW, joined.size, low=low, strided="right")
    tape.drop(joined, decay)
    return result


def _of_tokens(tape: Tape, whole: Buffer, form: ScanForm) -> Buffer:
    """The results of the real tokens: with a padded chunk a view, whose gradient is put into zeros."""
    size = Size(token=form.mamba.inner * FLOAT)
    view = Buffer(ROW, size, form.mamba.inner, "fp32", whole.grad, held=False, counted=False, base=whole)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(whole, tape.gradient(whole) if form.ragged else tape.share(gradient, whole))]

    return tape.node(view, backward)


def scan_step(tape: Tape, form: ScanForm, dtype: str) -> None:
    """One token: the decay of each number of the state, its addition in the model's dtype, and their sum."""
    narrow = resized_to(form.state, dtype)
    decay = tape.new(ROW, 0, "fp32", size=form.state)
    with tape.temporary(ROW, form.state):  # the exponents
        pass
    added = [tape.new(ROW, 0, dtype, size=narrow) for _ in ("of B", "of B and x")]
    with tape.temporary(ROW, form.state):  # the decayed state
        total = tape.new(ROW, 0, "fp32", size=form.state)
    with tape.temporary(ROW, narrow):
        pass
    tape.drop(decay, *added, total)
