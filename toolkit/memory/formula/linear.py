"""A linear layer: plain, under autocast, quantized by bitsandbytes, with a LoRA branch as peft adds it."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.operations import Given, add, cast, drop_out, letting_go, scale, widened
from toolkit.memory.formula.packed_weights import awq_product, biased, fp8_product, gptq_product
from toolkit.memory.numerics import PACKED
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape import Tape

COPIES = "cast_copies"
BRANCH = "adapter_states"
WEIGHT_COPY = "autocast_copies"
DEQUANTIZED = "dequantized_weight"
INT8 = "int8_products"


@frozen
class Branch:
    """A LoRA branch: its rank, the dtypes of its matrices and their gradients, and whether it has dropout.

    `products` is the dtype in which it multiplies without autocast, where that is another one.
    """

    rank: int
    dtype: str
    gradient: str
    dropout: bool
    products: str | None = None


@frozen
class LinearForm:
    """A linear layer as a tape needs it.

    `storage` is as of Numerics; `dtype` that of a plain weight, `compute` what a quantized one works in.
    """

    inputs: int
    outputs: int
    dtype: str
    bias: bool = False
    trains: bool = False
    storage: str = "plain"
    compute: str = "bf16"
    autocast: str | None = None
    gradient: str = "bf16"
    nested: bool = False
    keeps_input: bool = False  # bitsandbytes before 0.43.2 kept the input of every 4-bit product
    branch: Branch | None = None
    weights: int | None = None  # elements of the weight, where they are not inputs x outputs (grouped experts)
    viewed: bool = False  # it multiplies by a view of its weight, which autocast's cache does not take (Falcon)
    shared: str = ""  # a name, where the layer is used more than once in a stretch

    @property
    def elements(self) -> int:
        """The elements of the weight."""
        return self.inputs * self.outputs if self.weights is None else self.weights


def linear(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """The layer's result, in `row`; the caller keeps `x`."""
    if form.storage == "4bit":
        result = _four_bit(tape, x, form, row)
    elif form.storage == "8bit":
        result = _eight_bit(tape, x, form, row)
    elif form.storage in PACKED:
        result = _packed(tape, x, form, row)
    else:
        result = _plain(tape, x, form, row)
    return result if form.branch is None else _adapted(tape, x, result, form, form.branch, row)


def _packed(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """AWQ, GPTQ of 8 bits and FP8: kernels of their own, without training."""
    kernel, _, dense = form.storage.partition(" ")
    if kernel == "fp8":
        result = fp8_product(tape, x, form.inputs, form.outputs, row)
    else:
        product = awq_product if kernel == "awq" else gptq_product
        result = product(tape, x, form.elements, form.outputs, row, dense=bool(dense))
    return biased(tape, result, row) if form.bias else result


def _plain(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """addmm: saves its input where the weight is trained, and the weight, or autocast's copy of it."""
    dtype = form.autocast or form.dtype
    inner = cast(tape, x, dtype, COPIES)
    weight = _weight(tape, form.elements, form.dtype, dtype, form.gradient if form.trains else None, form.shared)
    result = _product(tape, inner, weight, form.outputs, dtype, row)
    if inner is not x:
        tape.drop(inner)
    if form.viewed and weight is not None:
        tape.drop(weight)
    return result


def _weight(tape: Tape, elements: int, own: str, dtype: str, gradient: str | None, name: str = "") -> Buffer | None:
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


def _product(tape: Tape, x: Buffer, weight: Buffer | None, outputs: int, dtype: str, row: str) -> Buffer:
    """X W^T. A weight that is only a copy is kept too, where a gradient flows to x."""
    trains = weight is not None and weight.grad
    is_copy = weight is not None and not weight.parameter
    kept = ([x] if trains else []) + ([weight] if weight is not None and is_copy and x.grad else [])
    saved = tape.save(*kept, constants=1) if x.grad or trains else ()
    result = tape.new(row, outputs, dtype, grad=x.grad or trains, size=widened(x, outputs, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        given = [(weight, tape.weight_gradient(weight, dtype))] if weight is not None and trains else []
        return [*given, (x, tape.gradient(x))] if x.grad else given

    tape.node(result, backward, saved)
    if weight is not None and is_copy and not trains:
        tape.drop(weight)
    return result


def _four_bit(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """Bitsandbytes' MatMul4Bit: dequantizes the whole weight in forward and in backward; the input is not kept."""
    inner = cast(tape, x, form.compute, COPIES)
    saved = tape.save(constants=1) if x.grad else ()
    product = tape.new(row, form.outputs, form.compute, grad=x.grad)
    with tape.temporary(DEQUANTIZED, _dequantized(form)):
        pass

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(DEQUANTIZED, _dequantized(form)):
            given = tape.gradient(inner)
        return [(inner, given)]

    tape.node(product, backward, saved)
    if form.keeps_input and x.grad:
        tape.pin(inner)
    if inner is not x:
        tape.drop(inner)
    return letting_go(tape, product, cast(tape, product, x.dtype, row))


def _dequantized(form: LinearForm) -> Size:
    """The weight in the compute dtype, and with double quantization its float32 scales, one for 64 elements."""
    scales = form.elements // 64 * BYTES["fp32"] if form.nested else 0
    return Size(fixed=form.elements * BYTES[form.compute] + scales)


def _eight_bit(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """MatMul8bitLt of bitsandbytes from 0.45: an int32 product of int8 copies; the outliers' share is added to it.

    The node keeps its input as an attribute. The outlier columns themselves (0.1 % of the features in arXiv 2208.07339)
    are left out. Sources: autograd/_functions.py; backends/cuda/ops.py, backends/default/ops.py.
    """
    half = 0 if x.dtype == "fp16" else BYTES["fp16"]  # the copy that is quantized, and that of the result
    found = BYTES["fp16"] + BYTES["bool"]  # magnitudes, and which of them are outliers
    with tape.temporary(INT8, Size(token=form.inputs * (half + BYTES["int8"] + found) + BYTES["fp32"])):
        pass
    if x.grad:
        tape.pin(x)
    with tape.temporary(INT8, Size(token=form.inputs * BYTES["int8"] + BYTES["fp32"])):
        with tape.temporary(INT8, Size(token=form.outputs * (BYTES["int32"] + half))):
            product = tape.new(row, form.outputs, x.dtype)
        result = tape.new(row, form.outputs, x.dtype, grad=x.grad)
        tape.drop(product)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(DEQUANTIZED, Size(fixed=form.elements * BYTES[x.dtype])):
            given = tape.gradient(x)
        return [(x, given)]

    return tape.node(result, backward)


def _adapted(tape: Tape, x: Buffer, base: Buffer, form: LinearForm, branch: Branch, row: str) -> Buffer:
    """The result plus B(A(dropout(x))) times alpha over rank (peft, tuners/lora/layer.py and bnb.py)."""
    result = base
    if form.storage == "4bit":  # peft clones the product of a 4-bit layer
        result = cast_clone(tape, base, row)
        tape.drop(base)
    casts = form.storage == "plain" or form.autocast is None
    source = cast(tape, x, branch.dtype, BRANCH) if casts else x
    dropped = drop_out(tape, source, BRANCH) if branch.dropout else source
    low = _factor(tape, dropped, form, branch, branch.rank, "A")
    if dropped is not source:
        tape.drop(dropped)
    high = _factor(tape, low, form, branch, form.outputs, "B")
    tape.drop(low)
    scaled = scale(tape, high, BRANCH, constants=0)
    tape.drop(high)
    if casts and form.storage != "plain":
        scaled = letting_go(tape, scaled, cast(tape, scaled, base.dtype, BRANCH))
    total = add(tape, result, scaled, row)
    tape.drop(result, scaled)
    if source is not x:
        tape.drop(source)
    return letting_go(tape, total, cast(tape, total, base.dtype, row))


def cast_clone(tape: Tape, x: Buffer, row: str) -> Buffer:
    """`x.clone()`."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)


def _factor(tape: Tape, x: Buffer, form: LinearForm, branch: Branch, outputs: int, matrix: str) -> Buffer:
    """One of the two products of the branch; its weight is trained, so its input is kept."""
    dtype = form.autocast or branch.products or branch.dtype
    inner = cast(tape, x, dtype, BRANCH)
    name = f"{form.shared}.{matrix}" if form.shared else ""
    weight = _weight(tape, x.width * outputs, branch.dtype, dtype, branch.gradient, name)
    result = _product(tape, inner, weight, outputs, dtype, BRANCH)
    if inner is not x:
        tape.drop(inner)
    return result
