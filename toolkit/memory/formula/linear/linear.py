"""A linear layer: plain, under autocast, quantized by bitsandbytes, with a LoRA branch as peft adds it."""

from __future__ import annotations

from contextlib import ExitStack

from toolkit.memory.formula.adapters.block_branch import in_blocks
from toolkit.memory.formula.adapters.dora import with_magnitude
from toolkit.memory.formula.adapters.lora_branch import adapted
from toolkit.memory.formula.linear.gptq_training import torch_product, triton_product
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.linear.packed_weights import awq_product, biased, fp8_product, gptq_product
from toolkit.memory.formula.linear.products import DEQUANTIZED, dequantized, multiplied, product, scales, weight_of
from toolkit.memory.formula.linear.torchao import INDEXED, nf4_product
from toolkit.memory.formula.operations import Given, cast, letting_go, lowered, resized, widened
from toolkit.memory.formula.tuned.methods import tuned
from toolkit.memory.libraries.packed_kernels import GPTQ_OF_4_BITS, PACKED
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.memory.weights.linear_storage import TRITON, UNPACKED

COPIES = "cast_copies"
INT8 = "int8_products"

GPTQ_PRODUCTS = {TRITON: triton_product, UNPACKED: torch_product}
"""The product with GPTQ weights in training, by the storage that names the kernel."""


def linear(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """The layer's result, in `row`; the caller keeps `x`."""
    if form.tuner is not None:
        return tuned(tape, x, form, form.tuner, row, linear)
    if form.storage == "4bit":
        result = _four_bit(tape, x, form, row)
    elif form.storage == "8bit":
        result = _eight_bit(tape, x, form, row)
    elif form.storage == INDEXED:
        result = nf4_product(tape, x, form, row)
    elif form.storage in GPTQ_PRODUCTS:
        result = GPTQ_PRODUCTS[form.storage](tape, x, form, row)
    elif form.storage in PACKED:
        result = _packed(tape, x, form, row)
    else:
        result = _plain(tape, x, form, row)
    tape.multiplied()
    if form.branch is None:
        return result
    if form.branch.blocks != (1, 1):
        return in_blocks(tape, x, result, form, form.branch)
    branched = with_magnitude if form.branch.magnitude else adapted
    return branched(tape, x, result, form, form.branch, row)


def _packed(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """AWQ, 8-bit GPTQ and FP8: kernels of their own, without training."""
    kernel, _, dense = form.storage.partition(" ")
    if kernel == "fp8":
        result = fp8_product(tape, x, form.inputs, form.outputs, row)
    elif kernel == "awq":
        result = awq_product(tape, x, form.elements, form.outputs, row, dense=bool(dense))
    else:
        bits = 4 if kernel == GPTQ_OF_4_BITS else 8
        result = gptq_product(tape, x, form.elements, form.outputs, row, dense=bool(dense), bits=bits)
    return biased(tape, result, row) if form.bias else result


def _plain(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """addmm: saves its input where the weight is trained, and the weight, or autocast's copy of it."""
    dtype = form.autocast or form.dtype
    weight = weight_of(tape, form.elements, form.dtype, dtype, form.gradient if form.trains else None, form.shared)
    inner = lowered(tape, x, dtype, COPIES) if form.autocast else cast(tape, x, dtype, COPIES)
    result = product(tape, inner, weight, form.outputs, dtype, row, biased=form.bias and form.trains)
    if inner is not x:
        tape.drop(inner)
    if form.viewed and weight is not None:
        tape.drop(weight)
    return result


def _four_bit(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """Bitsandbytes' MatMul4Bit: dequantizes the whole weight in forward and in backward; the input is not saved."""
    if form.follows and x.dtype != form.compute and x.dtype != "fp16":
        return _four_bit_as_given(tape, x, form, row)
    inner = cast(tape, x, form.compute, COPIES)
    unpacked = dequantized(form) if form.unpacks else multiplied(form)
    first = scales(form) if form.unpacks or not form.halved else Size()
    rest = unpacked.minus(first)
    with tape.temporary(DEQUANTIZED, first), tape.temporary(DEQUANTIZED, rest):  # before the product is allocated
        made = tape.new(row, form.outputs, form.compute, grad=x.grad, size=widened(x, form.outputs, form.compute))
        tape.multiplied()

    def backward(tape: Tape, _: Buffer) -> Given:
        if form.halved and form.unpacks:  # what is cast is freed before the product
            with tape.temporary(DEQUANTIZED, multiplied(form)):
                pass
        with tape.temporary(DEQUANTIZED, first), tape.temporary(DEQUANTIZED, rest):
            given = tape.gradient(inner)
            tape.multiplied()
        return [(inner, given)]

    tape.node(made, backward)  # the weight is an attribute of the node, which no checkpoint sees
    if form.keeps_input and x.grad:
        tape.pin(inner)
    result = letting_go(tape, made, cast(tape, made, x.dtype, row))
    if inner is not x:  # whose name Linear4bit.forward keeps until it returns
        tape.drop(inner)
    return result


def _four_bit_as_given(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """The same where the layer computes in the dtype of its input, to which the dequantized weight is cast.

    Autocast then casts both to its own dtype, that of the product and its gradient (nn/modules.py, Linear4bit;
    autograd/_functions.py, MatMul4Bit).
    """
    product = form.autocast or x.dtype
    wide = Size(fixed=form.elements * BYTES[x.dtype])
    copies: tuple[Size, ...] = ()
    if product != x.dtype:
        copies = (resized(x, product), Size(fixed=form.elements * BYTES[product]))
    with tape.temporary(DEQUANTIZED, dequantized(form)), tape.temporary(DEQUANTIZED, wide):
        pass
    made = tape.new(row, form.outputs, product, grad=x.grad, size=widened(x, form.outputs, product))
    with ExitStack() as taken:
        for size in (wide, *copies):
            taken.enter_context(tape.temporary(DEQUANTIZED, size))

    def backward(tape: Tape, _: Buffer) -> Given:
        with ExitStack() as taken:
            taken.enter_context(tape.temporary(COPIES, copies[0] if copies else Size()))
            with (
                tape.temporary(DEQUANTIZED, dequantized(form)),
                tape.temporary(DEQUANTIZED, Size() if copies else wide),
            ):
                pass
            given = tape.gradient(x)
        return [(x, given)]

    tape.node(made, backward)
    if form.keeps_input and x.grad:
        tape.pin(x)
    return letting_go(tape, made, cast(tape, made, x.dtype, row))


def _for_each_row(x: Buffer, each: int) -> Size:
    """So many bytes for each row of `x`."""
    row = x.width * BYTES[x.dtype]
    return Size(*[part // row * each for part in x.size])


def _eight_bit(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """MatMul8bitLt of bitsandbytes since 0.45: an int32 product of int8 copies, to which the outliers' part is added.

    The node keeps its input as an attribute. The outlier columns themselves (0.1 % of the features in arXiv 2208.07339)
    are left out. Sources: autograd/_functions.py; backends/cuda/ops.py, backends/default/ops.py.
    """
    half = 0 if x.dtype == "fp16" else BYTES["fp16"]  # the copy that is quantized, and that of the result
    found = BYTES["fp16"], BYTES["bool"]  # magnitudes, and which of them are outliers
    made = widened(x, form.outputs, x.dtype)
    with ExitStack() as codes:
        with tape.temporary(INT8, _for_each_row(x, form.inputs * half)):
            for each in (BYTES["fp32"], form.inputs * BYTES["int8"]):
                codes.enter_context(tape.temporary(INT8, _for_each_row(x, each)))
            with ExitStack() as taken:
                for each in found:
                    taken.enter_context(tape.temporary(INT8, _for_each_row(x, form.inputs * each)))
        if x.grad:
            tape.pin(x)
        with (
            tape.temporary(INT8, _for_each_row(x, form.outputs * BYTES["int32"])),
            tape.temporary(INT8, _for_each_row(x, form.outputs * half)),
        ):
            rounded = tape.new(row, form.outputs, x.dtype, size=made)
        result = tape.new(row, form.outputs, x.dtype, grad=x.grad, size=made)
        tape.drop(rounded)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(DEQUANTIZED, Size(fixed=form.elements * BYTES[x.dtype])):
            given = tape.gradient(x)
        return [(x, given)]

    return tape.node(result, backward)
