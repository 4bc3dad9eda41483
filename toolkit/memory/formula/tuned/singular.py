"""Methods that work between a weight's singular vectors: OSF, PSOFT, TinyLoRA (peft 0.21, tuners/*/layer.py)."""

from __future__ import annotations

from toolkit.memory.formula.operations import Given
from toolkit.memory.formula.tuned.site import MATRIX, Site, given, handed_on
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


def tinylora(at: Site, x: Buffer) -> Buffer:
    """Factors of the weight that are held, and between them a matrix that one vector makes of random ones."""
    form, vector = at.form, at.tuner.number("u")
    rank = min(at.tuner.rank, form.inputs, form.outputs)
    result = at.base(x)
    small = at.matmul(at.parameter(vector), at.frozen(vector * rank * rank, at.dtype), rank * rank, turned=True)
    source = at.cast(x, at.dtype)
    low = at.product(source, at.frozen(rank * form.inputs, at.dtype), rank)
    turned = at.swap(low, at.product(low, small, rank))
    high = at.product(turned, at.frozen(rank * form.outputs, at.dtype), form.outputs)
    total = at.swap(result, at.plus(result, high, at.row))
    final = at.finished(total, x.dtype)
    at.drop(small, turned, high, *([source] if source is not x else []))
    return final


def psoft(at: Site, x: Buffer) -> Buffer:
    """What a rotation changes of narrow inputs, between factors of the weight that are held."""
    form, rank = at.form, at.tuner.rank
    result = at.base(x)
    source = at.cast(x, at.dtype)
    low = at.product(source, at.frozen(rank * form.inputs, at.dtype), rank)
    rotation = _rotation(at, rank)
    turned = at.product(low, rotation, rank)
    at.drop(rotation)
    changed = at.minus(turned, low)
    high = at.product(changed, at.frozen(rank * form.outputs, at.dtype), form.outputs)
    at.drop(changed)
    scaled = at.scaled(high)
    own = result.dtype
    total = at.swap(result, at.plus(result, scaled, at.row))
    at.drop(scaled)
    final = at.finished(total, own)
    at.drop(low, turned, high, *([source] if source is not x else []))
    return final


def _rotation(at: Site, rank: int) -> Buffer:
    """(I + Q)(I - Q)^-1 of a skew matrix, whose rows and columns may be scaled; or a matrix that is trained itself."""
    square = rank * rank
    if not at.tuner.option("psoft_orth"):
        rotation = at.parameter(square)
    else:
        filled = at.matrix(square, at.dtype, (at.parameter(rank * (rank - 1) // 2),))
        skew = at.swap(filled, at.matrix(square, at.dtype, (filled,)))
        one = at.matrix(square, at.dtype)
        less, more = at.matrix(square, at.dtype, (skew,)), at.matrix(square, at.dtype, (skew,))
        factored = at.matrix(square, at.dtype)
        rotation = at.matrix(square, at.dtype, (less, more), (less, factored))
        at.drop(skew, one, less, more, factored)
    for scaled in ("psoft_mag_b", "psoft_mag_a"):
        if at.tuner.option(scaled):
            wider = at.times(at.parameter(rank), rotation)
            rotation = wider if rotation.parameter else at.swap(rotation, wider)
    return rotation


def osf(at: Site, x: Buffer) -> Buffer:
    """A change of the weight, as the product of what is trained less the product of what that was."""
    if at.tuner.option("whole"):
        return _whole(at, x)
    form, left = at.form, at.tuner.number("left")
    result = at.base(x)
    vectors = _scaled_vectors(at)
    before = at.matrix(form.outputs * left, at.dtype)
    negative = at.swap(before, at.matrix(form.outputs * left, at.dtype))
    second = at.matrix(2 * form.outputs * left, at.dtype, (vectors,), backward=handed_on(vectors))
    at.drop(vectors, negative)
    first = _beside_what_they_were(at)
    source = at.cast(x, at.dtype)
    low = at.product(source, first, 2 * left)
    high = at.product(low, second, form.outputs)
    narrow = at.cast(high, x.dtype)
    total = at.swap(result, at.plus(result, narrow, at.row))
    at.drop(*([narrow] if narrow is not high else []))
    at.drop(first, second, low, high, *([source] if source is not x else []))
    return total


def _whole(at: Site, x: Buffer) -> Buffer:
    """Before 0.21: the weight itself, put together of what stays and what is trained."""
    form, kept = at.form, at.tuner.number("kept")
    stays = at.matrix(form.outputs * kept, at.dtype)
    high = at.swap(stays, at.matmul(stays, at.frozen(form.inputs * kept, at.dtype), form.elements))
    vectors, right = _scaled_vectors(at), _right_vectors(at)
    low = at.matmul(vectors, right, form.elements)
    at.drop(vectors)
    weight = at.plus(low, high)
    at.drop(high, low)
    source = at.cast(x, weight.dtype)
    result = at.product(source, weight, form.outputs, at.row)
    final = at.finished(result, x.dtype)
    at.drop(weight, *([source] if source is not x else []))
    return final


def _scaled_vectors(at: Site) -> Buffer:
    """Left vectors times values: both factors of gradients are there before that of the values is summed."""
    left, elements = at.tuner.number("left"), at.tuner.number("left") * at.form.outputs
    vectors, values = at.parameter(elements), at.parameter(left)

    def backward(tape: Tape, _: Buffer) -> Given:
        hooked = bool(at.tuner.option("hooks"))
        own = at.fresh(elements) if hooked else given(tape, vectors)
        products = at.fresh(elements)
        summed = given(tape, values)
        tape.discard(products)
        if not hooked:
            return [(vectors, own), (values, summed)]
        projected = _projected(at, tape, vectors, square=at.form.outputs <= at.form.inputs)
        tape.discard(own)
        return [(vectors, projected), (values, summed)]

    return at.matrix(elements, at.dtype, (vectors, values), (vectors, values), backward)


def _right_vectors(at: Site) -> Buffer:
    """Right vectors, whose gradient a hook projects."""
    vectors = at.parameter(at.tuner.number("left") * at.form.inputs)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(vectors, _projected(at, tape, vectors, square=at.form.outputs >= at.form.inputs))]

    size = Size(fixed=at.tuner.number("left") * at.form.inputs * BYTES[at.dtype])
    seen = Buffer(MATRIX, size, 0, at.dtype, grad=True, held=False, counted=False, base=vectors)
    return at.tape.node(seen, backward)


def _beside_what_they_were(at: Site) -> Buffer:
    """Right vectors on top of those that they were made of: without its hook the gradient is a part of that of both."""
    both = 2 * at.form.inputs * at.tuner.number("left")
    if at.tuner.option("hooks"):
        right = _right_vectors(at)
        return at.matrix(both, at.dtype, (right,), backward=handed_on(right))
    vectors = at.parameter(both)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(vectors, tape.kept(gradient, vectors))]

    return at.matrix(both, at.dtype, (vectors,), backward=backward)


def _projected(at: Site, tape: Tape, vectors: Buffer, *, square: bool) -> Buffer:
    """A gradient without what lies along the vectors that stay: by what was trained, where that says as much."""
    by_trained = square and not at.tuner.option("whole")
    along = at.tuner.number("left") * at.tuner.number("left" if by_trained else "kept")
    share = at.fresh(along)
    if by_trained:
        own = given(tape, vectors)
        tape.discard(share)
        return own
    part = tape.fresh(vectors.row, vectors.size, vectors.dtype)
    tape.discard(share)
    own = given(tape, vectors)
    tape.discard(part)
    return own
