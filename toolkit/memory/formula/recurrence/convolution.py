"""A causal convolution of each channel over a few tokens: torch's, or the kernel of causal-conv1d.

Sources: transformers 5.23 modeling_qwen3_5.py, causal_conv1d_fn and causal_conv1d_update; torch
aten/src/ATen/native/Convolution.cpp, which makes what it convolves contiguous.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.arrays import INPUT, apply, per_token
from toolkit.memory.formula.caches.cached import COPIES, READS
from toolkit.memory.formula.caches.cached import ROW as CACHE
from toolkit.memory.formula.linear.linear import COPIES as CASTS
from toolkit.memory.formula.linear.products import WEIGHT_COPY
from toolkit.memory.formula.operations import Given, cast, letting_go, resized
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

ROW = "convolution_states"

TORCH, FUSED = "torch", "causal-conv1d"


@frozen
class ConvolutionForm:
    """A convolution of `channels` over `kernel` tokens; `dtype` is that of its weight, `how` names its code."""

    channels: int
    kernel: int
    dtype: str
    trains: bool
    gradient: str
    autocast: str | None = None
    activates: bool = True
    bias: bool = False
    how: str = TORCH

    @property
    def weights(self) -> int:
        """The elements of its weight."""
        return self.channels * self.kernel


def convolve(tape: Tape, x: Buffer, form: ConvolutionForm) -> Buffer:
    """The convolved channels of each token; drops `x`, whose name the caller rebinds to the result.

    Generation keeps the last tokens of a prompt, and concatenates one further token with them.
    """
    if tape.cache == READS:
        return letting_go(tape, x, _one_token(tape, x, form))
    if tape.cache == COPIES:
        kept = tape.new(CACHE, 0, x.dtype, size=_state(form, x.dtype))
        kept.references += 1  # the cache's own
    return letting_go(tape, x, (_fused if form.how == FUSED else _written_out)(tape, x, form))


def _state(form: ConvolutionForm, dtype: str) -> Size:
    return Size(sequence=form.weights * BYTES[dtype])


def _written_out(tape: Tape, x: Buffer, form: ConvolutionForm) -> Buffer:
    """conv1d over padded tokens, the first so many of its results, and their activation, which keeps all of them."""
    inner = cast(tape, x, form.dtype, CASTS)
    if form.autocast is not None:
        narrow = cast(tape, inner, form.autocast, CASTS)
        inner = narrow if inner is x else letting_go(tape, inner, narrow)
    padding = Size(sequence=(form.kernel - 1) * form.channels * BYTES[inner.dtype])
    with tape.temporary(ROW, inner.size):  # in one piece, channels before tokens
        whole = tape.new(ROW, form.channels, inner.dtype, grad=x.grad, size=inner.size.plus(padding))
    _convolution(tape, inner, whole, form)
    if inner is not x:
        tape.drop(inner)
    first = _first(tape, whole, inner.size)
    if not form.activates:
        return letting_go(tape, whole, _back(tape, first, x.dtype)) if first.dtype != x.dtype else first
    active = apply(tape, first, ROW, INPUT)
    tape.drop(whole)
    return letting_go(tape, active, cast(tape, active, x.dtype, ROW))


def _back(tape: Tape, x: Buffer, dtype: str) -> Buffer:
    return cast(tape, x, dtype, ROW)


def _convolution(tape: Tape, x: Buffer, whole: Buffer, form: ConvolutionForm) -> None:
    """Saves its input, and its weight or autocast's copy of a view of it; all gradients are made at once."""
    copies = _narrows_weight(form)
    kept = [x]
    if copies:
        kept.append(tape.new(WEIGHT_COPY, 0, whole.dtype, size=Size(fixed=form.weights * BYTES[whole.dtype])))
    saved = tape.save(*kept, constants=0 if copies else 1) if whole.grad else ()
    tape.drop(*kept[1:])
    parameter = tape.parameter(form.weights, form.gradient)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, x.size):
            given = [(x, tape.gradient(x))]
        if form.trains:
            given.append((parameter, tape.weight_gradient(parameter, form.gradient)))
        return given

    tape.node(whole, backward, saved)


def _narrows_weight(form: ConvolutionForm) -> bool:
    return form.autocast is not None and form.autocast != form.dtype


def _first(tape: Tape, whole: Buffer, size: Size) -> Buffer:
    """`whole[:, :, :tokens]`."""
    view = Buffer(ROW, size, whole.width, whole.dtype, whole.grad, held=False, counted=False, base=whole)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(whole, tape.gradient(whole))]

    return tape.node(view, backward)


def _fused(tape: Tape, x: Buffer, form: ConvolutionForm) -> Buffer:
    """causal-conv1d: one activated result; it saves its input, and its backward runs the convolution again.

    Source: causal_conv1d_interface.py, CausalConv1dFn; csrc/causal_conv1d.cpp sums the weight's gradient in float32.
    """
    saved = tape.save(x, constants=1) if x.grad else ()
    result = tape.new(ROW, form.channels, x.dtype, grad=x.grad, size=x.size)
    parameter = tape.parameter(form.weights, form.gradient)

    def backward(tape: Tape, _: Buffer) -> Given:
        given = [(x, tape.gradient(x))]
        with tape.temporary(INCOMING, Size(fixed=form.weights * BYTES["fp32"])):
            if form.trains:
                given.append((parameter, tape.weight_gradient(parameter, form.gradient)))
        return given

    return tape.node(result, backward, saved)


def _one_token(tape: Tape, x: Buffer, form: ConvolutionForm) -> Buffer:
    """The kept tokens concatenated with the new one, and convolved; the kernel shifts the kept ones in place."""
    if form.how == FUSED:
        return tape.new(ROW, form.channels, x.dtype, size=x.size)
    both = tape.new(ROW, 0, x.dtype, size=_state(form, x.dtype).plus(resized(x, x.dtype)))
    both = letting_go(tape, both, cast(tape, both, form.dtype, ROW))
    whole = tape.new(ROW, 0, both.dtype, size=per_token(2 * form.channels, both.dtype))
    tape.drop(both)
    if not form.activates:
        tape.drop(whole)
        return tape.new(ROW, form.channels, x.dtype, size=x.size)
    active = tape.new(ROW, form.channels, x.dtype, size=x.size)
    tape.drop(whole)
    return active
