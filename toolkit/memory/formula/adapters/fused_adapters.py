"""Linear layers with their adapters as one operation with its own backward: Unsloth's LoRA_QKV and LoRA_W.

Sources: unsloth kernels/fast_lora.py and kernels/utils.py (matmul_lora, fast_dequantize), and fms-acceleration's copies
of them (plugins/fused-ops-and-kernels, fms_acceleration_foak/fused_ops/unsloth_lora, bnb and gptq).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from toolkit.memory.formula.adapters.axolotl_adapters import axolotl_products
from toolkit.memory.formula.linear.gptq_training import written_out
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.linear.products import DEQUANTIZED, dequantized
from toolkit.memory.formula.operations import Backward, Given, widened
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING, NEW_GRADIENT
from toolkit.memory.tape.tape import Tape
from toolkit.memory.weights.linear_storage import TRITON

BRANCH = "adapter_states"
STORED = ("4bit", TRITON)

Parts = tuple[tuple[LinearForm, Branch], ...]


def fused_products(tape: Tape, x: Buffer, forms: tuple[LinearForm, ...], row: str) -> tuple[Buffer, ...]:
    """The results of layers with adapters for one input, in one operation; the caller keeps `x`.

    It saves its input; with dropout it saves each adapter's input, but no mask.
    """
    if all(form.branch is not None and form.branch.axolotl for form in forms):
        return axolotl_products(tape, x, forms, row)
    parts = tuple(_adapted(form, x) for form in forms)
    results: list[Buffer] = []
    dropped: list[Buffer] = []
    with ExitStack() as until_the_end:
        for form, _ in parts:
            if form.storage == TRITON:  # dequant248 runs for all of them first
                until_the_end.enter_context(tape.temporary(DEQUANTIZED, written_out(form)))
        for form, branch in parts:
            results.append(_product(tape, x, form, row))
            dropped.append(_dropped(tape, x, branch))
            _add_branch(tape, dropped[-1], form, branch)
            tape.multiplied()
    saved = tape.save(x, *dropped, constants=2 * len(parts))
    waiting: list[Buffer] = []
    for index, result in enumerate(results):
        if index == 0:
            tape.node(result, _backward(x, parts, waiting), saved)
        else:
            tape.node(result, _waits(waiting))
    for one in dropped:
        if one is not x:
            tape.drop(one)
    return tuple(results)


def fuses(*forms: LinearForm) -> bool:
    """Whether all of these have adapters that belong to such an operation."""
    return all(form.branch is not None and form.branch.fused for form in forms)


def _adapted(form: LinearForm, x: Buffer) -> tuple[LinearForm, Branch]:
    branch = form.branch
    assert branch is not None
    if form.storage not in STORED or branch.magnitude or branch.bias or x.dtype != form.compute:
        raise UnsupportedRow(
            "adapter_states", "no formula for fused adapters with DoRA, a bias, this storage or other inputs yet"
        )
    return form, branch


def _product(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """X W: 4-bit weights are dequantized one at a time; those of GPTQ were dequantized before."""
    if form.storage == TRITON:
        return tape.new(row, form.outputs, form.compute, grad=True, size=widened(x, form.outputs, form.compute))
    with _written(tape, form):
        return tape.new(row, form.outputs, form.compute, grad=True, size=widened(x, form.outputs, form.compute))


@contextmanager
def _written(tape: Tape, form: LinearForm) -> Iterator[None]:
    """A weight in 16 bit, and its float32 scales while it is dequantized (fast_dequantize)."""
    whole = form.elements * BYTES[form.compute]
    scales = 0 if form.storage == TRITON else dequantized(form).fixed - whole
    with tape.temporary(DEQUANTIZED, Size(fixed=whole)):
        with tape.temporary(DEQUANTIZED, Size(fixed=scales)):
            pass
        yield


def _dropped(tape: Tape, x: Buffer, branch: Branch) -> Buffer:
    """The input after dropout, whose mask is not saved: the operation runs without a graph."""
    if not branch.dropout or not tape.trains:
        return x
    with tape.temporary(BRANCH, widened(x, x.width, "bool")):
        return tape.new(BRANCH, x.width, x.dtype, size=x.size)


def _add_branch(tape: Tape, x: Buffer, form: LinearForm, branch: Branch) -> None:
    """`out += (X A) (s B)`: copies of the factors, the narrow product, and one as wide as the result."""
    with tape.temporary(BRANCH, _factor(form.inputs, branch, form.compute)):
        low = tape.new(BRANCH, branch.rank, form.compute, size=widened(x, branch.rank, form.compute))
    with tape.temporary(BRANCH, _factor(form.outputs, branch, form.compute).times(2)):
        pass
    scaled = _factor(form.outputs, branch, form.compute)
    with tape.temporary(BRANCH, scaled), tape.temporary(BRANCH, widened(x, form.outputs, form.compute)):
        pass
    tape.drop(low)


def _factor(width: int, branch: Branch, dtype: str) -> Size:
    return Size(fixed=width * branch.rank * BYTES[dtype])


def _waits(waiting: list[Buffer]) -> Backward:
    """A part of a result other than the first: its gradient waits for that of the first."""

    def backward(_: Tape, gradient: Buffer) -> Given:
        gradient.references += 1
        waiting.append(gradient)
        return []

    return backward


def _backward(x: Buffer, parts: Parts, waiting: list[Buffer]) -> Backward:
    """The gradients of all factors, which stay until it returns, then the input's, to which each layer adds.

    With 4-bit q, k and v the input's gradient overwrites the input itself.
    """
    over = len(parts) > 1 and all(form.storage == "4bit" for form, _ in parts)

    def backward(tape: Tape, _: Buffer) -> Given:
        factors = [one for form, branch in parts for one in _factor_gradients(tape, x, form, branch)]
        result = x if over else None
        for form, branch in parts:
            with _written(tape, form):
                if result is None:
                    result = tape.gradient(x)
                elif form is not parts[0][0]:
                    with tape.temporary(INCOMING, x.size):
                        pass
            _through_adapter(tape, x, form, branch)
        given = [
            (one, tape.weight_gradient(one, one.dtype))
            for form, branch in parts
            for one in _factors(tape, form, branch)
        ]
        for one in (*factors, *waiting):
            tape.discard(one)
        waiting.clear()
        assert result is not None
        result.references += over
        if not x.grad:
            tape.discard(result)
            return given
        return [*given, (x, result)]

    return backward


def _factor_gradients(tape: Tape, x: Buffer, form: LinearForm, branch: Branch) -> Iterator[Buffer]:
    """The gradients of A and B in the dtype of the product, each computed through a narrow product."""
    narrow = widened(x, branch.rank, form.compute)
    for width in (form.inputs, form.outputs):
        with tape.temporary(BRANCH, narrow):
            yield tape.fresh(NEW_GRADIENT, _factor(width, branch, form.compute), form.compute)


def _through_adapter(tape: Tape, x: Buffer, form: LinearForm, branch: Branch) -> None:
    """What an adapter adds to the input's gradient; if masked, also the mask of nonzero inputs and the product."""
    narrow = widened(x, branch.rank, form.compute).plus(_factor(form.inputs, branch, form.compute))
    with tape.temporary(BRANCH, widened(x, x.width, "bool") if branch.masks else Size()):
        with tape.temporary(BRANCH, narrow), tape.temporary(BRANCH, x.size):
            pass
        with tape.temporary(BRANCH, x.size.times(2 if branch.masks else 1)):
            pass


def _factors(tape: Tape, form: LinearForm, branch: Branch) -> Iterator[Buffer]:
    for width in (form.inputs, form.outputs):
        yield tape.parameter(width * branch.rank, branch.gradient)
