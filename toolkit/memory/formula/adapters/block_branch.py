"""The branch of BD-LoRA, one of whose matrices is block-diagonal (peft 0.21, tuners/lora/variants.py)."""

from __future__ import annotations

from toolkit.memory.formula.adapters.lora_branch import BRANCH, factor
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.linear.products import WEIGHT_COPY
from toolkit.memory.formula.operations import Given, add_into, cast, drop_out, lowered, scale, widened
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape


def in_blocks(tape: Tape, x: Buffer, base: Buffer, form: LinearForm, branch: Branch) -> Buffer:
    """The result, to which B(A(dropout(x))) is added in place; a matrix without blocks is a linear layer."""
    source = cast(tape, x, branch.dtype, BRANCH)
    dropped = drop_out(tape, source, BRANCH) if branch.dropout else source
    low = _product(tape, dropped, form, branch, branch.rank, "A")
    high = _product(tape, low, form, branch, form.outputs, "B")
    tape.drop(low)
    scaled = scale(tape, high, BRANCH, constants=0)
    tape.drop(high)
    add_into(tape, base, scaled)
    tape.drop(scaled, *([dropped] if dropped is not source else []), *([source] if source is not x else []))
    return base


def _product(tape: Tape, x: Buffer, form: LinearForm, branch: Branch, outputs: int, matrix: str) -> Buffer:
    """A batch of products, one per block, whose results are concatenated in a copy."""
    blocks = branch.blocks["AB".index(matrix)]
    if blocks == 1:
        return factor(tape, x, form, branch, outputs, matrix)
    dtype = form.autocast or branch.dtype
    inner = lowered(tape, x, dtype, BRANCH) if form.autocast else x
    elements = x.width * outputs // blocks
    weight = _weight(tape, elements, branch, dtype)
    kept = [inner] + ([weight] if not weight.parameter and x.grad else [])
    saved = tape.save(*kept, constants=2 - len(kept))
    size = widened(inner, outputs, dtype)
    apart = tape.new(BRANCH, outputs, dtype, grad=True, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        found: Given = []
        if inner.grad:
            with tape.temporary(INCOMING, inner.size):
                found = [(inner, tape.gradient(inner))]
        with tape.temporary(INCOMING, weight.size):
            found.append((weight, tape.weight_gradient(weight, dtype)))
        return found

    tape.node(apart, backward, saved)
    tape.drop(*([inner] if inner is not x else []), *([weight] if not weight.parameter else []))
    result = tape.new(BRANCH, outputs, dtype, grad=True, size=size)
    tape.node(result, lambda tape, gradient: [(apart, tape.share(gradient, apart))])
    tape.drop(apart)
    return result


def _weight(tape: Tape, elements: int, branch: Branch, dtype: str) -> Buffer:
    """A matrix as a product uses it: autocast does not cache copies of views."""
    parameter = tape.parameter(elements, branch.gradient)
    if branch.dtype == dtype:
        return parameter
    copy = tape.new(WEIGHT_COPY, 0, dtype, grad=True, size=Size(fixed=elements * BYTES[dtype]))
    return tape.node(copy, lambda tape, _: [(parameter, tape.weight_gradient(parameter, parameter.dtype))])
