"""LoRA on weights that are no module's own: all experts of a layer in one parameter, and the router.

There is no branch to run beside them. At every pass peft adds the product of A and B to the whole weight, and the layer
multiplies by the sum: as large as all its experts, kept for backward, with a gradient as large again.
Source: peft 0.21 tuners/lora/layer.py, ParamWrapper and its proxies; torch nn/utils/parametrize.py, whose registration
runs what it registers once before anything uses it.
"""

from __future__ import annotations

from toolkit.memory.formula.adapters.lora_branch import BRANCH
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.linear.products import product
from toolkit.memory.formula.operations import Given, cast
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

MERGED = "merged_experts"

Factors = tuple[Buffer, Buffer]
"""A and B of all experts in the dtype of the weights."""


def factors_of(tape: Tape, form: LinearForm, experts: int, chosen: int) -> Factors | None:
    """The factors of the experts' adapters, made before the experts run; None where they have no adapter.

    What registers them makes the sum once, and lets it go.
    """
    branch = form.branch
    if branch is None:
        return None
    a = _factor(tape, form, branch, experts * branch.rank * (form.inputs // chosen))
    b = _factor(tape, form, branch, experts * branch.rank * (form.outputs // chosen))
    with tape.temporary(MERGED, _size(form)):
        pass
    return a, b


def merged_product(tape: Tape, x: Buffer, form: LinearForm, factors: Factors, row: str) -> tuple[Buffer, Buffer]:
    """The product with weights and adapters in one, and those weights, which their context names to its end."""
    merged = merged_weights(tape, form, factors)
    return product(tape, x, merged, form.outputs, form.dtype, row), merged


def merged_weights(tape: Tape, form: LinearForm, factors: Factors) -> Buffer:
    """All experts' weights with their adapters added."""
    merged = tape.new(MERGED, 0, form.dtype, grad=True, size=_size(form))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(factor, _gradient(tape, factor)) for factor in reversed(factors)]

    return tape.node(merged, backward, tape.save(*factors))


def _gradient(tape: Tape, factor: Buffer) -> Buffer:
    """A product over the whole gradient of the weights, and its multiple by alpha over rank."""
    if factor.parameter:
        with tape.temporary(INCOMING, factor.size):
            return tape.weight_gradient(factor, factor.dtype)
    made = tape.fresh(INCOMING, factor.size, factor.dtype)
    scaled = tape.fresh(INCOMING, factor.size, factor.dtype)
    tape.discard(made)
    return scaled


def _factor(tape: Tape, form: LinearForm, branch: Branch, elements: int) -> Buffer:
    """One of the adapter's matrices in the dtype of the weights: itself, or a copy."""
    parameter = tape.parameter(elements, branch.gradient)
    if branch.dtype == form.dtype:
        return parameter
    copy = tape.new(BRANCH, 0, form.dtype, grad=True, size=Size(fixed=elements * BYTES[form.dtype]))

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, Size(fixed=elements * BYTES[branch.dtype])):
            return [(parameter, tape.weight_gradient(parameter, branch.dtype))]

    return tape.node(copy, backward)


def _size(form: LinearForm) -> Size:
    return Size(fixed=form.elements * BYTES[form.dtype])


def merged_linear(tape: Tape, x: Buffer, form: LinearForm, branch: Branch, row: str) -> Buffer:
    """The product with one weight that has an adapter and is no linear's: its change is made whole, and added."""
    a = tape.parameter(branch.rank * form.inputs, branch.gradient)
    b = tape.parameter(branch.rank * form.outputs, branch.gradient)
    wide = Size(fixed=form.elements * BYTES[branch.dtype])
    with tape.temporary(BRANCH, wide), tape.temporary(BRANCH, wide):
        pass
    change = tape.new(BRANCH, 0, form.dtype, grad=True, size=_size(form))
    with tape.temporary(MERGED, _size(form)):
        pass
    merged = tape.new(MERGED, 0, form.dtype, grad=True, size=_size(form))

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, wide):
            return [(part, tape.weight_gradient(part, branch.dtype)) for part in (a, b)]

    tape.node(merged, backward, tape.save(constants=2))
    dtype = form.autocast or form.dtype
    inner, weight = cast(tape, x, dtype, row), cast(tape, merged, dtype, row)
    result = product(tape, inner, weight, form.outputs, dtype, row)
    if inner is not x:
        tape.drop(inner)
    if weight is not merged:
        tape.drop(weight)
    tape.drop(change, merged)
    return result
