"""Methods that make a change of the whole weight at every pass: LoHa, LoKr, FourierFT, HiRA, PEANuT (peft 0.21)."""

from __future__ import annotations

from toolkit.memory.formula.operations import Backward, Given
from toolkit.memory.formula.tuned.site import MATRIX, Site, given
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

COMPLEX = 2
"""Numbers of a complex one, in float32 each."""


def loha(at: Site, x: Buffer) -> Buffer:
    """The product, element by element, of two low-rank matrices."""
    result = at.base(x)
    return _beside(at, x, result, _two_products(at))


def _beside(at: Site, x: Buffer, result: Buffer, change: Buffer) -> Buffer:
    """Result + x @ change^T, where the copy of x and the change have no name in what calls for them."""
    source = at.cast(x, change.dtype)
    added = at.product(source, change, at.form.outputs)
    at.drop(change, *([source] if source is not x else []))
    total = at.plus(result, added, at.row)
    at.drop(result, added)
    return at.finished(total, x.dtype)


def _two_products(at: Site) -> Buffer:
    """HadaWeight: the products once more in backward, where they are in the dtype of the adapter."""
    form, rank = at.form, at.tuner.rank
    dtype = form.autocast or at.dtype
    whole = form.elements
    factors = tuple(at.parameter(side * rank) for side in (form.outputs, form.inputs, form.outputs, form.inputs))
    for factor in factors:
        at.low(factor)
    size = Size(fixed=whole * BYTES[dtype])

    def backward(tape: Tape, _: Buffer) -> Given:
        passing = [tape.fresh(INCOMING, size, dtype)]
        found: Given = []
        for pair in (factors[:2], factors[2:]):
            passing += [at.fresh(whole), at.fresh(whole)]
            if found:
                tape.discard(passing.pop(1))
            tape.discard(passing.pop(1))
            found += [(one, given(tape, one)) for one in pair]
        for one in passing:
            tape.discard(one)
        return found

    with at.tape.temporary(MATRIX, size):  # before it is scaled
        with at.tape.temporary(MATRIX, size), at.tape.temporary(MATRIX, size):
            pass
        return at.matrix(whole, dtype, factors, factors, backward)


def lokr(at: Site, x: Buffer) -> Buffer:
    """A Kronecker product, of which each factor may be low-rank."""
    result = at.base(x)
    factors = [_factor(at, side) for side in ("first", "second")]
    whole, dtype = at.form.elements, factors[0].dtype if factors[0].dtype == factors[1].dtype else at.dtype
    product = at.matrix(whole, dtype, tuple(factors), tuple(factors), _kronecker_backward(at, factors, whole, dtype))
    change = at.swap(product, at.scaled(product))
    at.drop(*(factor for factor in factors if not factor.parameter))
    return _beside(at, x, result, change)


def _kronecker_backward(at: Site, factors: list[Buffer], whole: int, dtype: str) -> Backward:
    """The gradient of each factor is as large as the product until it is summed."""

    def backward(tape: Tape, _: Buffer) -> Given:
        passing = [at.fresh(whole, dtype) for _ in factors]
        found = []
        for one, factor in zip(passing, factors, strict=True):
            found.append((factor, given(tape, factor)))
            tape.discard(one)
        return found

    return backward


def _factor(at: Site, side: str) -> Buffer:
    rows, columns, rank = (at.tuner.number(f"{side}_{name}") for name in ("rows", "columns", "rank"))
    if not rank:
        return at.parameter(rows * columns)
    return at.matmul(at.parameter(rows * rank), at.parameter(rank * columns), rows * columns)


def fourierft(at: Site, x: Buffer) -> Buffer:
    """A few frequencies put into zeros, and transformed back."""
    result = at.base(x)
    whole = at.form.elements
    spectrum = at.cast(at.parameter(at.tuner.number("n_frequency")), "fp32")
    dense = at.matrix(whole, "fp32")
    wide = Size(fixed=COMPLEX * whole * BYTES["fp32"])

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, wide):
            return [(spectrum, given(tape, spectrum))]

    with at.tape.temporary(MATRIX, wide):
        made = at.made(wide, "fp32", (spectrum,), backward=backward)
    change = at.scaled(at.view(made, dense.size))
    at.drop(dense, made)
    return _named(at, x, result, change)


def _named(at: Site, x: Buffer, result: Buffer, change: Buffer) -> Buffer:
    """Result + x @ change^T, where the copy of x and the change keep their names to the end."""
    source = at.cast(x, change.dtype)
    added = at.product(source, change, at.form.outputs)
    total = at.plus(result, added, at.row)
    at.drop(result, added)
    final = at.finished(total, x.dtype)
    at.drop(change, *([source] if source is not x else []))
    return final


def hira(at: Site, x: Buffer) -> Buffer:
    """The weight times a low-rank matrix, element by element."""
    form, rank = at.form, at.tuner.rank
    result = at.base(x)
    low = at.matmul(at.parameter(rank * form.inputs), at.parameter(form.outputs * rank), form.elements, turned=True)
    source = at.cast(x, at.dtype)
    change = at.times(at.frozen(form.elements, form.dtype), low)
    added = at.product(source, change, form.outputs)
    at.drop(change)
    total = at.swap(result, at.plus(result, added, at.row))
    final = at.finished(total, result.dtype)
    at.drop(low, added, *([source] if source is not x else []))
    return final


def peanut(at: Site, x: Buffer) -> Buffer:
    """A network of one hidden layer over the rows of the weight, which gives its change."""
    form, rank = at.form, at.tuner.rank
    result = at.base(x)
    weight = at.frozen(form.elements, form.dtype)
    turned = weight if form.dtype == at.dtype else at.matrix(form.elements, at.dtype)
    low = at.matmul(turned, at.parameter(rank * form.outputs), form.inputs * rank, turned=True)
    active = at.swap(low, at.alike(low))
    high = at.matmul(active, at.parameter(rank * form.outputs), form.elements)
    change = at.swap(high, at.scaled(high))
    at.drop(active, *([turned] if turned is not weight else []))
    source = at.cast(x, change.dtype)
    added = at.product(source, change, form.outputs)
    narrow = at.cast(added, result.dtype)
    total = at.plus(result, narrow, at.row)
    at.drop(result, *([narrow] if narrow is not added else []), change, added, *([source] if source is not x else []))
    return total
