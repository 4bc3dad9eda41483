"""DoRA as peft runs it: a LoRA branch, and a trained magnitude for each row of the weight that the branch changes.

In every pass it computes the whole change of the weight, and the norms of the changed weight's rows, without a graph:
several matrices of the size of the weight at once, none of them saved. With dropout it multiplies by the weight once
more, and keeps the copies that it makes for that.
Source: peft 0.14 to 0.21, tuners/lora/dora.py and variants.py (DoraLinearVariant.forward); arXiv 2402.09353, 4.3.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.formula.adapters.lora_branch import BRANCH, cast_clone, factor
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.linear.products import WEIGHT_COPY, dequantized, product, weight_of
from toolkit.memory.formula.operations import Given, add, cast, drop_out, letting_go, resized, scale, wider
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

MATRIX = "dora_matrices"


def with_magnitude(tape: Tape, x: Buffer, base: Buffer, form: LinearForm, branch: Branch, row: str) -> Buffer:
    """The layer's result, `base`, plus what DoRA adds to it."""
    form = replace(form, shared=form.shared or f"adapter {len(tape.weights)}")  # A and B are used twice
    result = base
    if form.storage == "4bit":  # peft clones the product of a 4-bit layer
        result = cast_clone(tape, base, row)
        tape.drop(base)
    casts = form.storage == "plain" or form.autocast is None
    source = cast(tape, x, branch.dtype, BRANCH) if casts else x
    dropped = drop_out(tape, source, BRANCH) if branch.dropout else source
    more = _added(tape, dropped, result, form, branch, row, again=dropped is not source)
    if dropped is not source:
        tape.drop(dropped)
    total = add(tape, result, more, row)
    tape.drop(result, more)
    if source is not x:
        tape.drop(source)
    # With packed weights under autocast the sum keeps its wider dtype (tuners/lora/bnb.py, requires_conversion).
    return letting_go(tape, total, cast(tape, total, base.dtype, row)) if casts else total


def _added(tape: Tape, x: Buffer, result: Buffer, form: LinearForm, branch: Branch, row: str, *, again: bool) -> Buffer:
    """(s - 1) times the layer's product plus s times the branch, where s is m / |W + change| and m is trained."""
    kept: list[Buffer] = []  # what names or the graph hold until this returns
    change = _change(tape, x.dtype, form, branch, kept)
    weight = _weight(tape, x.dtype, form)
    norms = _norms(tape, x.dtype, form)
    ratio = _ratio(tape, norms, form, branch)
    low = factor(tape, x, form, branch, branch.rank, "A")
    high = factor(tape, low, form, branch, form.outputs, "B")
    tape.drop(low)
    plain = result
    if again:
        plain = _product_again(tape, x, weight, form, row)
    elif form.bias:
        plain = _without_bias(tape, result, form, row)
    less = cast_clone(tape, ratio, BRANCH)
    first = _stretched(tape, plain, less, row)
    tape.drop(less)
    second = _stretched(tape, high, ratio, BRANCH)
    scaled = scale(tape, second, BRANCH, constants=0)
    tape.drop(second)
    total = add(tape, first, scaled, row)
    tape.drop(first, scaled, high, norms, ratio, change, *kept)
    if weight is not None:
        tape.drop(weight)
    if plain is not result:
        tape.drop(plain)
    return total


def _without_bias(tape: Tape, result: Buffer, form: LinearForm, row: str) -> Buffer:
    """`result - bias`, which a bias of float32 makes float32 beside autocast's 16-bit product."""
    wide = wider(result.dtype, form.dtype) if form.storage == "plain" else result.dtype
    return cast_clone(tape, result, row) if wide == result.dtype else cast(tape, result, wide, row)


def _matrix(tape: Tape, form: LinearForm, dtype: str) -> Buffer:
    """A matrix of the size of the layer's weight."""
    return tape.new(MATRIX, form.outputs, dtype, size=Size(fixed=form.elements * BYTES[dtype]))


def _change(tape: Tape, dtype: str, form: LinearForm, branch: Branch, kept: list[Buffer]) -> Buffer:
    """B(A(1)), the branch applied to a unit matrix, in a dtype.

    Its graph holds the inputs of both products until the change itself is freed; it gets no gradient.
    """
    working = form.autocast or branch.products or branch.dtype
    unit = tape.new(MATRIX, form.inputs, branch.dtype, size=Size(fixed=form.inputs**2 * BYTES[branch.dtype]))
    inner = cast(tape, unit, working, MATRIX)
    weight_of(tape, form.inputs * branch.rank, branch.dtype, working, branch.gradient, f"{form.shared}.A")
    tape.save(constants=1)
    low = tape.new(MATRIX, branch.rank, working, size=Size(fixed=form.inputs * branch.rank * BYTES[working]))
    if tape.records:
        kept += [low, inner]
    elif inner is not unit:
        tape.drop(inner)
    weight_of(tape, form.outputs * branch.rank, branch.dtype, working, branch.gradient, f"{form.shared}.B")
    tape.save(constants=2)
    change = _matrix(tape, form, working)
    if not tape.records:
        tape.drop(low)
    if unit not in kept and branch.keeps_unit:
        kept.append(unit)
    elif unit not in kept:
        tape.drop(unit)
    return letting_go(tape, change, cast(tape, change, dtype, MATRIX))


def _weight(tape: Tape, dtype: str, form: LinearForm) -> Buffer | None:
    """A copy of the layer's weight in a dtype; None where it has that dtype already."""
    if form.storage == "plain":
        return (
            None
            if form.dtype == dtype
            else tape.new(WEIGHT_COPY, form.outputs, dtype, size=Size(fixed=form.elements * BYTES[dtype]))
        )
    if form.storage == "8bit":  # int8 times its scales, then times 1/127 (bitsandbytes functional.py)
        scaled = _matrix(tape, form, "fp32")
        weight = letting_go(tape, scaled, _matrix(tape, form, "fp32"))
    else:
        scales = dequantized(form).fixed - form.elements * BYTES[form.compute]
        with tape.temporary(MATRIX, Size(fixed=scales)):
            weight = _matrix(tape, form, form.compute)
    return letting_go(tape, weight, cast(tape, weight, dtype, MATRIX))


def _norms(tape: Tape, dtype: str, form: LinearForm) -> Buffer:
    """The norms of the rows of weight + scaling * change.

    Under autocast they are float32, which the kernel computes without a copy of its input (ATen/autocast_mode.h,
    fp32_set_opt_dtype; ReduceNormKernel.cu).
    """
    scaled = _matrix(tape, form, dtype)
    total = letting_go(tape, scaled, _matrix(tape, form, dtype))
    norms = tape.new(BRANCH, form.outputs, dtype, size=Size(fixed=form.outputs * BYTES[dtype]))
    tape.drop(total)
    return norms


def _ratio(tape: Tape, norms: Buffer, form: LinearForm, branch: Branch) -> Buffer:
    """The trained magnitudes, one per output, divided by the norms."""
    dtype = wider(branch.dtype, norms.dtype)
    magnitude = tape.parameter(form.outputs, branch.gradient)
    saved = tape.save(norms)
    ratio = tape.new(BRANCH, form.outputs, dtype, grad=True, size=Size(fixed=form.outputs * BYTES[dtype]))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(magnitude, tape.weight_gradient(magnitude, dtype))]

    return tape.node(ratio, backward, saved)


def _product_again(tape: Tape, x: Buffer, weight: Buffer | None, form: LinearForm, row: str) -> Buffer:
    """The layer's product without its bias, on an input after dropout."""
    dtype = form.autocast or x.dtype
    inner = cast(tape, x, dtype, BRANCH)
    own = form.dtype if weight is None else weight.dtype
    copy = weight
    if own != dtype:
        copy = tape.new(WEIGHT_COPY, form.outputs, dtype, size=Size(fixed=form.elements * BYTES[dtype]))
    result = product(tape, inner, copy, form.outputs, dtype, row)
    if inner is not x:
        tape.drop(inner)
    return result


def _stretched(tape: Tape, y: Buffer, ratio: Buffer, row: str) -> Buffer:
    """`ratio * y`, a number for each output: the ratio's gradient is as large as y until it is summed."""
    dtype = wider(y.dtype, ratio.dtype)
    saved = tape.save(y, *([ratio] if y.grad else []))
    result = tape.new(row, y.width, dtype, grad=True, size=resized(y, dtype))

    def backward(tape: Tape, _: Buffer) -> Given:
        whole = tape.gradient(result)
        own = tape.gradient(y, dtype) if y.grad else None
        tape.returned()  # the engine sums what is as large as y (engine.cpp, validate_outputs)
        total = tape.fresh(INCOMING, ratio.size, ratio.dtype)
        tape.summed(ratio.size.fixed // BYTES[ratio.dtype])
        tape.discard(whole)
        if own is None:
            return [(ratio, total)]
        if own.dtype != y.dtype:
            wide, own = own, tape.gradient(y)
            tape.discard(wide)
        return [(ratio, total), (y, own)]

    return tape.node(result, backward, saved)
