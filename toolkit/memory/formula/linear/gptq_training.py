"""Products with GPTQ weights in training, by kernels that have a backward."""

from __future__ import annotations

from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.linear.products import DEQUANTIZED
from toolkit.memory.formula.operations import Given, cast, letting_go
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

QUANTIZED_INPUTS = "cast_copies"
PACKED_TENSORS = 4
"""What a product saves: packed values and zeros, scales, and the group of each input."""


def written_out(form: LinearForm) -> Size:
    """The whole weight in float16, whatever the dtype of the model (dequant248)."""
    return Size(fixed=form.elements * BYTES["fp16"])


def triton_product(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """QuantLinearFunction of triton v2: the weight is dequantized for the product, and again for its backward.

    Sources: auto-gptq and gptqmodel, nn_modules/triton_utils/dequant.py and nn_modules/qlinear/qlinear_tritonv2.py.
    """
    inner = cast(tape, x, "fp16", QUANTIZED_INPUTS)
    saved = tape.save(constants=PACKED_TENSORS) if x.grad else ()
    with tape.temporary(DEQUANTIZED, written_out(form)):
        made = tape.new(row, form.outputs, "fp16", grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(DEQUANTIZED, written_out(form)):
            given = tape.gradient(inner)
        return [(inner, given)]

    tape.node(made, backward, saved)
    if inner is not x:
        tape.drop(inner)
    return letting_go(tape, made, _with_bias(tape, made, row)) if form.bias else made


def torch_product(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """The product of gptqmodel in training: torch's operators dequantize the weight, and autograd saves it.

    Temporaries are the shifted int32 and their int8, then int8 values, the zero of each, and their difference; the
    float16 weight is made beside all but the zeros. The zeros of groups, a byte each, are left out.
    Source: gptqmodel 2.1 to 7.3, nn_modules/qlinear/__init__.py (dequantize_weight) and torch.py (_forward_eager).
    """
    inner = cast(tape, x, "fp16", QUANTIZED_INPUTS)
    with tape.temporary(DEQUANTIZED, Size(fixed=form.elements * (BYTES["int32"] + BYTES["int8"]))):
        pass
    with tape.temporary(DEQUANTIZED, Size(fixed=form.elements * (2 * BYTES["int8"] + BYTES["fp16"]))):
        with tape.temporary(DEQUANTIZED, Size(fixed=form.elements * BYTES["int8"])):
            pass
        weight = tape.new(DEQUANTIZED, 0, "fp16", size=written_out(form))
    saved = tape.save(weight) if x.grad else ()
    made = tape.new(row, form.outputs, "fp16", grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(inner, tape.gradient(inner))]

    tape.node(made, backward, saved)
    tape.drop(weight)
    if inner is not x:
        tape.drop(inner)
    return made  # a bias is added in place


def _with_bias(tape: Tape, x: Buffer, row: str) -> Buffer:
    """`out + self.bias`: a new tensor, whose gradient is passed on unchanged."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)
