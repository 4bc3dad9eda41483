"""Methods that rotate what a layer is given: OFT, BOFT and HRA (peft 0.21, tuners/oft, boft and hra, layer.py)."""

from __future__ import annotations

from toolkit.memory.formula.tuned.site import Site, handed_on
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer

NEUMANN_TERMS = 5
"""Terms of the series that stands for an inverse (OFTConfig.num_cayley_neumann_terms)."""


def oft(at: Site, x: Buffer) -> Buffer:
    """Inputs in blocks, each times an orthogonal matrix made of a skew one by a series."""
    source = at.cast(x, at.dtype)
    turns = _cayley(at)
    if at.tuner.option("block_share"):  # one block for all
        turns = at.swap(turns, at.matrix(at.form.inputs * at.tuner.number("block"), at.dtype, (turns,)))
    grouped = at.view(source)
    inner, blocks = at.low(grouped), at.low(turns)
    keeps = (inner, blocks) if inner.grad else (inner,)
    turned = at.made(inner.size, inner.dtype, (inner, blocks), keeps, width=x.width)
    at.drop(*([inner] if inner is not grouped else []), *([blocks] if blocks is not turns else []))
    ordered = at.made(turned.size, turned.dtype, (turned,), width=x.width, backward=handed_on(turned))
    wide = at.cast(ordered, at.dtype)
    at.drop(turned, turns, *([ordered] if wide is not ordered else []), *([source] if source is not x else []))
    final = at.cast(wide, x.dtype)
    result = at.base(final)
    at.drop(final, wide)
    return at.finished(result, x.dtype)


def _cayley(at: Site) -> Buffer:
    """I + 2 Q + 2 Q^2 + 2 Q^3 + Q^4 of blocks Q, of which the powers keep what they are made of."""
    block, blocks = at.tuner.number("block"), at.tuner.number("blocks")
    if at.tuner.option("block_share"):
        blocks = 1
    whole = blocks * block * block
    vector = at.parameter(blocks * block * (block - 1) // 2)
    filled = at.matrix(whole, at.dtype, (vector,))
    skew = at.matrix(whole, at.dtype, (filled,))
    at.drop(filled)
    total = at.matrix(whole, at.dtype)
    at.added_in_place(total, skew)
    power, powers = skew, []
    for _ in range(2, NEUMANN_TERMS):
        power = at.matmul(power, skew, whole)
        powers.append(power)
        at.added_in_place(total, power)
    at.drop(skew, *powers)
    return total


def boft(at: Site, x: Buffer) -> Buffer:
    """Inputs times one matrix of rotated blocks, permuted, and results times a factor for each output."""
    form = at.form
    square = form.inputs * form.inputs
    eye = at.matrix(square, x.dtype)
    block = at.tuner.number("block_size")
    small = form.inputs * block
    skew, factored = at.matrix(small, at.dtype, (at.parameter(small),)), at.matrix(small, at.dtype)
    solved = at.matrix(small, at.dtype, (skew,), (skew, factored))  # of torch.linalg.solve
    turned = at.matrix(small, "fp32", (solved,), (solved,))
    at.drop(skew, factored, solved)
    diagonal = at.matrix(square, "fp32", (turned,))
    there = x.dtype == "fp32" and not at.tuner.option("stays")
    permutation = at.frozen(square, "fp32") if there else at.matrix(square, x.dtype)
    narrow = at.swap(diagonal, at.cast(diagonal, x.dtype))
    first = at.matmul(narrow, permutation, square)
    second = at.swap(first, at.matmul(permutation, first, square))
    rotation = at.swap(eye, at.matmul(second, eye, square))
    scale = at.matrix(form.outputs, at.dtype, (at.parameter(form.outputs),))
    rotation = at.swap(rotation, at.cast(rotation, x.dtype))
    inner = at.product(x, rotation, form.inputs)
    result = at.base(inner)
    if form.bias:  # which is taken off, and comes back once the rest is scaled
        result = at.swap(result, at.alike(result, row=at.row))
    stretched = at.swap(result, at.times(result, scale, at.row))
    if form.bias:
        stretched = at.swap(stretched, at.alike(stretched, row=at.row))
    done = at.finished(stretched, x.dtype)
    at.drop(rotation, turned, narrow, second, scale, inner, *([] if permutation.parameter else [permutation]))
    return done


def hra(at: Site, x: Buffer) -> Buffer:
    """The weight times so many reflections, one after the other, written out at every pass."""
    form, rank = at.form, at.tuner.rank
    square = form.inputs * form.inputs
    eye = at.matrix(square, "fp32")
    vectors = at.parameter(form.inputs * rank)
    lengths = at.matrix(rank, at.dtype, (vectors,), (vectors,))
    unit = at.times(vectors, lengths)
    weight = at.matrix(square, at.dtype)
    column_size = Size(fixed=form.inputs * BYTES[at.dtype])
    for _ in range(rank):
        column = at.view(unit, column_size)
        doubled = at.scaled(weight)
        narrow = at.swap(doubled, at.matmul(doubled, column, form.inputs))
        outer = at.swap(narrow, at.matmul(narrow, column, square))
        weight = at.swap(weight, at.minus(weight, outer))
        at.drop(outer)
    at.drop(unit, lengths)
    turned = at.swap(eye, at.matmul(eye, weight, square))
    return _multiplied(at, x, turned, weight)


def _multiplied(at: Site, x: Buffer, turned: Buffer, reflections: Buffer) -> Buffer:
    """X @ (W @ turned)^T, while what was turned still has a name."""
    form = at.form
    own = at.frozen(form.elements, form.dtype)
    wide = own if form.dtype == turned.dtype else at.matrix(form.elements, turned.dtype)
    changed = at.swap(turned, at.matmul(wide, turned, form.elements))
    source = at.cast(x, changed.dtype)
    result = at.product(source, changed, form.outputs, at.row)
    final = at.finished(result, x.dtype)
    at.drop(reflections, changed, *([wide] if wide is not own else []), *([source] if source is not x else []))
    return final
