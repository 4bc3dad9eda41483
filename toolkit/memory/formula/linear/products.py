"""A product with a weight: what autograd keeps of it, under autocast too, and the weight it multiplies by."""

from __future__ import annotations

from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, widened
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.selected import selected
from toolkit.memory.tape.tape import Tape

WEIGHT_COPY = "autocast_copies"
DEQUANTIZED = "dequantized_weight"


def weight_of(tape: Tape, elements: int, own: str, dtype: str, gradient: str | None, name: str = "") -> Buffer | None:
    """A weight as a product uses it: None where it is frozen and needs no copy; `gradient` is None where it is frozen.

    Autocast copies a weight of another dtype; the copies of trained ones stay in its cache until it ends, so that a
    layer that is used again, whose weight has a `name`, has one.
    """
    if gradient is not None:
        if name in tape.weights:
            return tape.weights[name]
        parameter = tape.parameter(elements, gradient)
        weight = parameter if own == dtype else _copied(tape, parameter, elements, dtype)
        if name:
            tape.weights[name] = weight
        return weight
    if own == dtype:
        return None
    return tape.new(WEIGHT_COPY, 0, dtype, size=Size(fixed=elements * BYTES[dtype]))


def _copied(tape: Tape, parameter: Buffer, elements: int, dtype: str) -> Buffer:
    copy = tape.new(WEIGHT_COPY, 0, dtype, grad=True, size=Size(fixed=elements * BYTES[dtype]))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(parameter, tape.weight_gradient(parameter, parameter.dtype))]

    return tape.node(copy, backward)


def product(
    tape: Tape, x: Buffer, weight: Buffer | None, outputs: int, dtype: str, row: str, bias: Buffer | None = None,
    *, biased: bool = False,
) -> Buffer:  # fmt: skip
    """X W^T, and a bias that is trained. A weight that is only a copy is kept too, where a gradient flows to x.

    A `biased` one's bias is trained too, though its gradient is not followed: the engine sums it over the tokens from
    the gradient of the result once those of x and W are there (torch/csrc/autograd/engine.cpp, validate_outputs).
    """
    trains = weight is not None and weight.grad
    is_copy = weight is not None and not weight.parameter
    kept = ([x] if trains else []) + ([weight] if weight is not None and is_copy and x.grad else [])
    saved = tape.save(*kept, constants=1) if x.grad or trains else ()
    size = widened(x, outputs, dtype)
    result = selected(tape, row, outputs, dtype, grad=x.grad or trains, size=size, product=True)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        given = [] if bias is None else [(bias, tape.weight_gradient(bias, dtype))]
        if weight is not None and trains:
            given.append((weight, tape.weight_gradient(weight, dtype)))
            tape.multiplied()
            _multiplied(tape, gradient)
        if x.grad:
            given.append((x, tape.gradient(x)))
            given[-1][1].reshaped = True  # a matrix, seen as sequences
            tape.multiplied()
            _multiplied(tape, gradient)
        if (biased or bias is not None) and x.size.token:
            tape.returned()
            tape.summed(outputs)
        return given

    tape.node(result, backward, saved)
    if weight is not None and is_copy and not trains:
        tape.drop(weight)
    return result


def _multiplied(tape: Tape, gradient: Buffer) -> None:
    """A product of a gradient: cuBLAS takes no matrix whose elements are all in one place, so that it is copied.

    Source: aten/src/ATen/native/cuda/Blas.cpp, prepare_matrix_for_cublas.
    """
    if gradient.expands is not None:
        with tape.temporary(gradient.row, gradient.expands):
            pass


def dequantized(form: LinearForm) -> Size:
    """The weight in the compute dtype, and with double quantization its scales."""
    return Size(fixed=form.elements * BYTES[form.compute]).plus(scales(form))


def scales(form: LinearForm) -> Size:
    """With double quantization the scales in float32, one for 64 elements: a request of their own, before the weight's.

    Source: bitsandbytes functional.py, dequantize_4bit.
    """
    return Size(fixed=form.elements // 64 * BYTES["fp32"] if form.nested else 0)


def multiplied(form: LinearForm) -> Size:
    """What a product takes of a weight: where that was quantized from 16 bits, it is that first, and then cast."""
    both = BYTES["fp16"] + BYTES[form.compute]
    return Size(fixed=form.elements * both) if form.halved else dequantized(form)
