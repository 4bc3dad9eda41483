"""A product with a weight: what autograd saves, with and without autocast, and the weight that it uses."""

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

    Autocast copies a weight of another dtype. Copies of trained weights stay in its cache until it ends, so a layer
    that is used several times, whose weight has a `name`, has one copy.
    """
    if gradient is not None:
        if name in tape.weights:
            return tape.weights[name]
        parameter = tape.parameter(elements, gradient)
        weight = parameter if own == dtype else _copied(tape, parameter, elements, dtype)
        weight.multiplies = True
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
    """X W^T, plus a trained bias. A weight that is only a copy is saved as well, where a gradient flows to x.

    `biased` means a trained bias whose gradient is not followed: the engine sums the result's gradient over the tokens
    once the gradients of x and W are there (torch/csrc/autograd/engine.cpp, validate_outputs).
    With a bias the gradient of x comes first (addmm), without one that of W (mm): an operator's gradients are made in
    the order of the names of its arguments (torchgen, derivatives.yaml).
    """
    trains, has_bias = weight is not None and weight.grad, biased or bias is not None
    is_copy = weight is not None and not weight.parameter
    kept = ([x] if trains else []) + ([weight] if weight is not None and is_copy and x.grad else [])
    saved = tape.save(*kept, constants=1) if x.grad or trains else ()
    size = widened(x, outputs, dtype)
    result = selected(tape, row, outputs, dtype, grad=x.grad or trains, size=size, product=True)
    tape.multiplied()

    def backward(tape: Tape, gradient: Buffer) -> Given:
        given = [] if bias is None else [(bias, tape.weight_gradient(bias, dtype))]
        for of_weight in (False, True) if has_bias else (True, False):
            if of_weight and weight is not None and trains:
                given.append((weight, tape.weight_gradient(weight, dtype)))
            elif not of_weight and x.grad:
                given.append((x, tape.gradient(x)))
                given[-1][1].reshaped = True  # a matrix viewed as sequences
            else:
                continue
            tape.multiplied()
            _multiplied(tape, gradient)
        if has_bias and x.size.token:
            tape.returned()
            tape.summed(outputs)
        return given

    tape.node(result, backward, saved)
    if weight is not None and is_copy and not trains:
        tape.drop(weight)
    return result


def _multiplied(tape: Tape, gradient: Buffer) -> None:
    """A product with a gradient: cuBLAS does not take an expanded matrix, so one is copied first.

    Source: aten/src/ATen/native/cuda/Blas.cpp, prepare_matrix_for_cublas.
    """
    if gradient.expands is not None:
        with tape.temporary(gradient.row, gradient.expands):
            pass


def dequantized(form: LinearForm) -> Size:
    """The weight in the compute dtype, and with double quantization its scales."""
    return Size(fixed=form.elements * BYTES[form.compute]).plus(scales(form))


def scales(form: LinearForm) -> Size:
    """With double quantization the float32 scales, one per 64 elements, which are allocated before the weight.

    Source: bitsandbytes functional.py, dequantize_4bit.
    """
    return Size(fixed=form.elements // 64 * BYTES["fp32"] if form.nested else 0)


def multiplied(form: LinearForm) -> Size:
    """What a product needs of a weight: one that dequantizes to 16 bits exists in those first, and is then cast."""
    both = BYTES["fp16"] + BYTES[form.compute]
    return Size(fixed=form.elements * both) if form.halved else dequantized(form)
