"""A linear layer: plain, under autocast, quantized by bitsandbytes, with a LoRA branch as peft adds it."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.formula.operations import Given, add, cast, drop_out, letting_go, scale
from toolkit.memory.tape import BYTES, Buffer, Size, Tape

COPIES = "cast_copies"
BRANCH = "adapter_states"
WEIGHT_COPY = "autocast_copies"
DEQUANTIZED = "dequantized_weight"
GRADIENTS = "gradients"
NEW_GRADIENT = "new_gradient"


@dataclass(frozen=True, slots=True)
class Branch:
    """A LoRA branch: its rank, the dtype of its matrices, and whether its input passes through dropout."""

    rank: int
    dtype: str
    dropout: bool


@dataclass(frozen=True, slots=True)
class LinearForm:
    """A linear layer as a tape needs it.

    `storage` is plain, 4bit or 8bit; `dtype` that of a plain weight; `compute` the dtype in which a quantized one works.
    `accumulates` says that gradients of earlier micro-batches are there, so that a new one is only added to them.
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
    accumulates: bool = False
    nested: bool = False
    keeps_input: bool = False  # bitsandbytes before 0.43.2 kept the input of every 4-bit product
    branch: Branch | None = None
    weights: int | None = None  # elements of the weight, where they are not inputs x outputs (grouped experts)

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
    else:
        result = _plain(tape, x, form, row)
    return result if form.branch is None else _adapted(tape, x, result, form, form.branch, row)


def _plain(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """addmm: saves its input where the weight is trained, and the weight, or autocast's copy of it."""
    dtype = form.autocast or form.dtype
    inner = cast(tape, x, dtype, COPIES)
    weight = _weight_copy(tape, form, dtype)
    kept = ([inner] if form.trains else []) + ([weight] if weight is not None and x.grad else [])
    saved = tape.save(*kept, constants=1) if x.grad or form.trains else ()
    result = tape.new(row, form.outputs, dtype, grad=x.grad or form.trains)

    def backward(tape: Tape, _: Buffer) -> Given:
        if form.trains:
            _weight_gradient(tape, form.elements, dtype, form)
        return [(inner, tape.gradient(inner))] if inner.grad else []

    tape.node(result, backward, saved)
    if inner is not x:
        tape.drop(inner)
    if weight is not None and not form.trains:  # only copies of trained weights stay in autocast's cache
        tape.drop(weight)
    return result


def _weight_copy(tape: Tape, form: LinearForm, dtype: str) -> Buffer | None:
    if form.dtype == dtype:
        return None
    return tape.new(WEIGHT_COPY, 0, dtype, size=Size(fixed=form.elements * BYTES[dtype]))


def _weight_gradient(tape: Tape, elements: int, dtype: str, form: LinearForm) -> None:
    """The weight's gradient: made in the product's dtype, kept in its own; added to an earlier one where there is one."""
    made = Size(fixed=elements * BYTES[dtype])
    kept = Size(fixed=elements * BYTES[form.gradient])
    if dtype == form.gradient and not form.accumulates:
        tape.fresh(GRADIENTS, kept, form.gradient)
        return
    with tape.temporary(NEW_GRADIENT, made):
        if not form.accumulates:
            tape.fresh(GRADIENTS, kept, form.gradient)
        elif dtype != form.gradient:
            with tape.temporary(NEW_GRADIENT, kept):
                pass


def _four_bit(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """bitsandbytes' MatMul4Bit: dequantizes the whole weight in forward and in backward; the input is not kept."""
    inner = cast(tape, x, form.compute, COPIES)
    saved = tape.save(*([inner] if form.keeps_input else []), constants=1) if x.grad else ()
    product = tape.new(row, form.outputs, form.compute, grad=x.grad)
    with tape.temporary(DEQUANTIZED, _dequantized(form)):
        pass

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(DEQUANTIZED, _dequantized(form)):
            given = tape.gradient(inner)
        return [(inner, given)]

    tape.node(product, backward, saved)
    if inner is not x:
        tape.drop(inner)
    return letting_go(tape, product, cast(tape, product, x.dtype, row))


def _dequantized(form: LinearForm) -> Size:
    """The weight in the compute dtype, and with double quantization its float32 scales, one for 64 elements."""
    scales = form.elements // 64 * BYTES["fp32"] if form.nested else 0
    return Size(fixed=form.elements * BYTES[form.compute] + scales)


def _eight_bit(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """bitsandbytes' MatMul8bitLt: keeps its input; needs it in float16 and int8, and an int32 product, while it runs."""
    saved = tape.save(x) if x.grad else ()
    working = Size(token=form.inputs * (BYTES["int8"] + (0 if x.dtype == "fp16" else BYTES["fp16"])))
    with tape.temporary(COPIES, working.plus(Size(token=form.outputs * BYTES["int32"]))):
        result = tape.new(row, form.outputs, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(DEQUANTIZED, Size(fixed=form.elements * BYTES[x.dtype])):
            given = tape.gradient(x)
        return [(x, given)]

    return tape.node(result, backward, saved)


def _adapted(tape: Tape, x: Buffer, base: Buffer, form: LinearForm, branch: Branch, row: str) -> Buffer:
    """The result plus B(A(dropout(x))) times alpha over rank (peft, tuners/lora/layer.py and bnb.py)."""
    result = base
    if form.storage == "4bit":  # peft clones the product of a 4-bit layer
        result = cast_clone(tape, base, row)
        tape.drop(base)
    casts = form.storage == "plain" or form.autocast is None
    source = cast(tape, x, branch.dtype, BRANCH) if casts else x
    dropped = drop_out(tape, source, BRANCH) if branch.dropout else source
    low = _factor(tape, dropped, form, branch, branch.rank)
    if dropped is not source:
        tape.drop(dropped)
    high = _factor(tape, low, form, branch, form.outputs)
    tape.drop(low)
    scaled = scale(tape, high, BRANCH)
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


def _factor(tape: Tape, x: Buffer, form: LinearForm, branch: Branch, outputs: int) -> Buffer:
    """One of the two products of the branch; its weight is trained, so its input is kept."""
    dtype = form.autocast or branch.dtype
    inner = cast(tape, x, dtype, BRANCH)
    saved = tape.save(inner, constants=1)
    result = tape.new(BRANCH, outputs, dtype, grad=True)
    elements = max(inner.width, 1) * outputs

    def backward(tape: Tape, _: Buffer) -> Given:
        _weight_gradient(tape, elements, dtype, form)
        return [(inner, tape.gradient(inner))] if inner.grad else []

    tape.node(result, backward, saved)
    if inner is not x:
        tape.drop(inner)
    return result

