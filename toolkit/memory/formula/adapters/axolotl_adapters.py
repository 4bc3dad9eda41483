"""Linear layers with their adapters as one operation of axolotl: LoRA_QKV, LoRA_O and LoRA_MLP.

They save their input and 16-bit copies of the factors; that of a feed-forward also saves gate and up, which backward
overwrites. Dropout runs before them, once for layers with the same input. Source: axolotl 0.19, kernels/lora.py,
swiglu.py and quantize.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.linear.products import DEQUANTIZED, dequantized
from toolkit.memory.formula.operations import Backward, Given, drop_out, widened
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, NOTHING, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import NEW_GRADIENT
from toolkit.memory.tape.tape import Tape

BRANCH = "adapter_states"
FEED_FORWARD = "feed_forward_states"

Parts = tuple[tuple[LinearForm, Branch], ...]


def axolotl_products(tape: Tape, x: Buffer, forms: tuple[LinearForm, ...], row: str) -> tuple[Buffer, ...]:
    """The results of layers with adapters for one input; the caller keeps `x`."""
    parts = tuple(_adapted(form, x) for form in forms)
    dropped = drop_out(tape, x, BRANCH) if parts[0][1].dropout else x
    results = tuple(_multiplied(tape, x, form, branch, row) for form, branch in parts)
    copies = _copies(tape, parts)
    saved = tape.save(*dict.fromkeys((x, dropped)), *copies, constants=2 * len(parts) - len(copies))
    waiting: list[Buffer] = []
    for index, result in enumerate(results):
        tape.node(result, _waits(waiting) if index else _backward(x, dropped, parts, waiting), () if index else saved)
    tape.drop(*copies, *([dropped] if dropped is not x else []))
    return results


def axolotl_feed_forward(tape: Tape, x: Buffer, gate: LinearForm, up: LinearForm, down: LinearForm) -> Buffer:
    """down(act(gate(x)) * up(x)) in one operation, which does not save down's input; the caller keeps `x`."""
    parts = tuple(_adapted(form, x) for form in (gate, up, down))
    dropped = drop_out(tape, x, BRANCH) if parts[0][1].dropout else x
    wide = tuple(_multiplied(tape, x, form, branch, FEED_FORWARD) for form, branch in parts[:2])
    hidden = tape.new(FEED_FORWARD, down.inputs, x.dtype, grad=True)
    result = _multiplied(tape, hidden, *parts[2], FEED_FORWARD)
    copies = _copies(tape, parts)
    saved = tape.save(*dict.fromkeys((x, dropped)), *wide, *copies, constants=6 - len(copies))

    def backward(tape: Tape, incoming: Buffer) -> Given:
        with _written(tape, down):
            to_hidden = tape.gradient(hidden)
        order = (parts[2], parts[1], parts[0])
        made = [_factor_gradients(tape, x, form, branch) for form, branch in order]
        given = _to_input(tape, x, dropped, (parts[1], parts[0]))
        return _returned(tape, given, order, made, incoming, [to_hidden])

    tape.node(result, backward, saved)
    tape.drop(hidden, *wide, *copies, *([dropped] if dropped is not x else []))
    return result


def _adapted(form: LinearForm, x: Buffer) -> tuple[LinearForm, Branch]:
    branch = form.branch
    assert branch is not None
    own = form.compute if form.storage == "4bit" else form.dtype
    known = form.storage in ("4bit", "plain") and x.dtype == own and form.autocast in (None, own)
    if not known or branch.magnitude or branch.bias or form.trains:
        raise UnsupportedRow(
            "adapter_states", "no formula for axolotl's kernels with DoRA, a bias, this storage or dtype yet"
        )
    return form, branch


@contextmanager
def _written(tape: Tape, form: LinearForm) -> Iterator[None]:
    """A 4-bit weight in 16 bit, and its float32 scales while it is dequantized."""
    if form.storage != "4bit":
        yield
        return
    whole = Size(fixed=form.elements * BYTES[form.compute])
    with tape.temporary(DEQUANTIZED, whole):
        with tape.temporary(DEQUANTIZED, dequantized(form).minus(whole)):
            pass
        yield


def _multiplied(tape: Tape, x: Buffer, form: LinearForm, branch: Branch, row: str) -> Buffer:
    """X W, to which the narrow product times B is added in place (matmul_lora)."""
    with _written(tape, form):
        result = tape.new(row, form.outputs, x.dtype, grad=True, size=widened(x, form.outputs, x.dtype))
    tape.multiplied()
    copied = NOTHING if branch.dtype == x.dtype else _factor(form.inputs + form.outputs, branch, x.dtype)
    with tape.temporary(BRANCH, copied), tape.temporary(BRANCH, widened(x, branch.rank, x.dtype)):
        pass
    return result


def _factor(width: int, branch: Branch, dtype: str) -> Size:
    return Size(fixed=width * branch.rank * BYTES[dtype])


def _copies(tape: Tape, parts: Parts) -> tuple[Buffer, ...]:
    """The factors' copies in the compute dtype, which are saved; none where that is their own dtype."""
    return tuple(
        tape.new(BRANCH, 0, dtype, size=_factor(width, branch, dtype))
        for form, branch in parts
        for width, dtype in ((form.inputs, _dtype(form)), (form.outputs, _dtype(form)))
        if branch.dtype != dtype
    )


def _dtype(form: LinearForm) -> str:
    return form.compute if form.storage == "4bit" else form.dtype


def _waits(waiting: list[Buffer]) -> Backward:
    """A part of a result other than the first: its gradient waits for that of the first."""

    def backward(_: Tape, gradient: Buffer) -> Given:
        gradient.references += 1
        waiting.append(gradient)
        return []

    return backward


def _backward(x: Buffer, dropped: Buffer, parts: Parts, waiting: list[Buffer]) -> Backward:
    def backward(tape: Tape, incoming: Buffer) -> Given:
        made = [_factor_gradients(tape, x, form, branch) for form, branch in parts]
        given = _returned(tape, _to_input(tape, x, dropped, parts), parts, made, incoming, waiting)
        waiting.clear()
        return given

    return backward


def _factor_gradients(tape: Tape, x: Buffer, form: LinearForm, branch: Branch) -> tuple[Buffer, Buffer, Buffer]:
    """The gradient through B, which stays to the end, and the gradients of A and B in the compute dtype."""
    dtype = _dtype(form)
    narrow = widened(x, branch.rank, dtype)
    through = tape.fresh(BRANCH, narrow, dtype)
    low, high = (
        tape.fresh(NEW_GRADIENT, _factor(width, branch, dtype), dtype) for width in (form.inputs, form.outputs)
    )
    with tape.temporary(BRANCH, narrow):
        pass
    return through, low, high


def _to_input(tape: Tape, x: Buffer, dropped: Buffer, parts: Parts) -> Given:
    """The input's gradient, to which each layer adds, and separately the gradient through dropout."""
    with _written(tape, parts[0][0]):
        given = tape.gradient(x)
    for form, _ in parts[1:]:
        with _written(tape, form):
            pass
    if dropped is x:
        return [(x, given)]
    if len(parts) > 1:  # of zeros, added to
        return [(dropped, tape.gradient(dropped)), (x, given)]
    with tape.temporary(BRANCH, x.size):  # a product, then times the scale
        return [(dropped, tape.gradient(dropped)), (x, given)]


def _returned(
    tape: Tape,
    given: Given,
    parts: Parts,
    made: list[tuple[Buffer, Buffer, Buffer]],
    incoming: Buffer,
    passing: list[Buffer],
) -> Given:
    """The function's results; all else is freed before the engine casts the factors' gradients to their own dtype."""
    for one in (*passing, *(through for through, _, _ in made), *(() if given[0][0].grad else (given[0][1],))):
        tape.discard(one)
    if incoming.references == 1 and incoming.counted:
        tape.discard(incoming)
        incoming.references, incoming.counted = 1, False
    ones: Given = []
    for (form, branch), (_, low, high) in zip(parts, made, strict=True):
        for width, narrow in ((form.inputs, low), (form.outputs, high)):
            parameter = tape.parameter(width * branch.rank, branch.gradient)
            ones.append((parameter, tape.weight_gradient(parameter, parameter.dtype)))
            tape.discard(narrow)
    return [*(given if given[0][0].grad else []), *ones]
