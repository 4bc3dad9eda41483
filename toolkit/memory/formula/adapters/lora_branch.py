"""The branch that peft adds to a linear layer for LoRA."""

from __future__ import annotations

from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.linear.products import product, weight_of
from toolkit.memory.formula.operations import Given, add, add_into, cast, drop_out, letting_go, lowered, scale
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.memory.weights.linear_storage import TRITON, UNPACKED

BRANCH = "adapter_states"

LIKE_PLAIN = ("plain", TRITON, UNPACKED)
"""Storage with which peft casts inputs and adds results as with a plain weight, unless it adds in place."""


def adapted(tape: Tape, x: Buffer, base: Buffer, form: LinearForm, branch: Branch, row: str) -> Buffer:
    """The result plus B(A(dropout(x))) times alpha over rank (peft, tuners/lora/layer.py and bnb.py)."""
    result = base
    if form.storage == "4bit" and branch.clones:
        result = cast_clone(tape, base, row)
        tape.drop(base)
    like_plain = form.storage in LIKE_PLAIN and not branch.in_place
    casts = form.autocast is None or like_plain
    source = cast(tape, x, branch.dtype, BRANCH) if casts else x
    dropped = drop_out(tape, source, BRANCH) if branch.dropout else source
    low = factor(tape, dropped, form, branch, branch.rank, "A")
    if dropped is not source:
        tape.drop(dropped)
    high = factor(tape, low, form, branch, form.outputs, "B")
    tape.drop(low)
    if branch.in_place:
        high = letting_go(tape, high, cast(tape, high, base.dtype, BRANCH))
    scaled = scale(tape, high, BRANCH, constants=0)
    tape.drop(high)
    if branch.in_place:
        add_into(tape, result, scaled)
        tape.drop(scaled, *([source] if source is not x else []))
        return result
    if casts and not like_plain:
        scaled = letting_go(tape, scaled, cast(tape, scaled, base.dtype, BRANCH))
    total = add(tape, result, scaled, row)
    tape.drop(result, scaled)
    total = letting_go(tape, total, cast(tape, total, base.dtype, row))
    if source is not x:  # peft's forward refers to it until it returns
        tape.drop(source)
    return total


def cast_clone(tape: Tape, x: Buffer, row: str) -> Buffer:
    """`x.clone()`."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)


def factor(tape: Tape, x: Buffer, form: LinearForm, branch: Branch, outputs: int, matrix: str) -> Buffer:
    """One of the two products of the branch; its input is saved, unless its weight is frozen."""
    dtype = form.autocast or branch.products or branch.dtype
    inner = lowered(tape, x, dtype, BRANCH) if form.autocast else cast(tape, x, dtype, BRANCH)
    name = f"{form.shared}.{matrix}" if form.shared else ""
    gradient = None if branch.frozen == matrix else branch.gradient
    weight = weight_of(tape, x.width * outputs, branch.dtype, dtype, gradient, name)
    bias = tape.parameter(outputs, branch.gradient) if branch.bias and matrix == "B" else None
    result = product(tape, inner, weight, outputs, dtype, BRANCH, bias=bias)
    if inner is not x:
        tape.drop(inner)
    return result
