"""Methods whose branch beside the layer is narrow: AdaLoRA, VeRA, VB-LoRA, RandLoRA, DeLoRA, GraLoRA.

Source: peft 0.21, tuners/*/layer.py.

No dropout but AdaLoRA's: their configs have none unless it is asked for.
"""

from __future__ import annotations

from toolkit.memory.formula.adapters.lora_branch import BRANCH
from toolkit.memory.formula.operations import Given, drop_out, narrowed, resized
from toolkit.memory.formula.tuned.site import Site, given
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

TOP = 2
"""Vectors of the bank that make a piece of an adapter (VBLoRAConfig.topk)."""


def adalora(at: Site, x: Buffer) -> Buffer:
    """A times a number for each rank, and B: a product of three; what it adds is scaled, and divided by the rank.

    The rank is a parameter of one element in the adapter's dtype, which the quotient takes, too.
    """
    form, rank = at.form, at.tuner.rank
    result = at.base(x)
    source = at.cast(x, at.dtype)
    dropped = drop_out(at.tape, source, BRANCH) if at.tuner.option("dropout") else source
    scaled = at.times(at.parameter(rank * form.inputs), at.parameter(rank))
    low = at.product(dropped, scaled, rank, turned=True)
    at.drop(scaled, *([dropped] if dropped is not source else []))
    high = at.swap(low, at.product(low, at.parameter(rank * form.outputs), form.outputs, turned=True))
    larger = at.swap(high, at.alike(high))
    added = at.swap(larger, _over(at, larger, at.parameter(1)))
    at.added_to_base(result, added)
    at.drop(added, *([source] if source is not x else []))
    return result


def _over(at: Site, x: Buffer, rank: Buffer) -> Buffer:
    """`x / rank`: nothing is counted for a gradient of the rank, which a Trainer's model has not.

    peft makes it before a Trainer moves the model to the GPU, and trains it where the model was there before.
    """

    def backward(tape: Tape, _: Buffer) -> Given:
        own = tape.fresh(INCOMING, resized(x, at.dtype), at.dtype, x.width)
        return [(x, narrowed(tape, x, own)), (rank, given(tape, rank))]

    return at.made(resized(x, at.dtype), at.dtype, (x, rank), (rank,), width=x.width, backward=backward)


def vera(at: Site, x: Buffer) -> Buffer:
    """Random A and B that all layers share, with a trained vector behind each."""
    form, rank = at.form, at.tuner.rank
    result = at.base(x)
    source = at.cast(x, at.dtype)
    low = at.product(source, at.frozen(rank * form.inputs, at.dtype), rank)
    scaled = at.swap(low, at.times(at.parameter(rank), low))
    high = at.swap(scaled, at.product(scaled, at.frozen(rank * form.outputs, at.dtype), form.outputs))
    return _onto(at, x, source, result, at.swap(high, at.times(at.parameter(form.outputs), high)))


def _onto(at: Site, x: Buffer, source: Buffer, result: Buffer, added: Buffer, *names: Buffer) -> Buffer:
    """`result + added` in the dtype of what was given; the copy of that, and what else has names, last to the end."""
    total = at.plus(result, added, at.row)
    at.drop(result, added)
    final = at.finished(total, x.dtype)
    at.drop(*names, *([source] if source is not x else []))
    return final


def vblora(at: Site, x: Buffer) -> Buffer:
    """A and B put together from a bank of vectors."""
    form, rank = at.form, at.tuner.rank
    result = at.base(x)
    a, b = (_of_vectors(at, features) for features in (form.inputs, form.outputs))
    b = at.swap(b, at.alike(b))  # its vectors are turned over
    source = at.cast(x, at.dtype)
    low = at.product(source, a, rank)
    high = at.swap(low, at.product(low, b, form.outputs))
    return _onto(at, x, source, result, high, a, b)


def _of_vectors(at: Site, features: int) -> Buffer:
    """For each piece the sum of the vectors that its largest logits choose, weighted by their softmax."""
    rank, length = at.tuner.rank, at.tuner.number("vector_length")
    logits = at.parameter(rank * (features // length) * at.tuner.number("num_vectors"))
    chosen = at.matrix(rank * features // length * TOP, at.dtype, (logits,))
    weights = at.matrix(rank * features // length * TOP, at.dtype, (chosen,))
    weights_kept = at.alike(weights, weights, keeps=(weights,))
    vectors = at.matrix(rank * features * TOP, at.dtype, (_bank(at),))
    weighted = at.matrix(rank * features * TOP, at.dtype, (weights_kept, vectors), (weights_kept, vectors))
    summed = at.matrix(rank * features, at.dtype, (weighted,))
    at.drop(chosen, weights, weights_kept, vectors, weighted)
    return summed


def _bank(at: Site) -> Buffer:
    """The bank, which all modules share: each counts a gradient of it, a few hundred kilobytes."""
    elements = at.tuner.number("num_vectors") * at.tuner.number("vector_length")
    return at.matrix(0, at.dtype, (at.parameter(elements),))


def randlora(at: Site, x: Buffer) -> Buffer:
    """Full rank from many narrow random bases, each with scales: the one over the smaller side is made anew."""
    form, rank = at.form, at.tuner.rank
    small, large = sorted((form.inputs, form.outputs))
    bases = -(-small // rank)
    inner = rank * bases
    result = at.base(x)
    shared = at.frozen(large * inner, at.dtype)
    scaled = _scaled_bases(at, rank, bases, small)
    source = at.cast(x, at.dtype)
    first, second = (scaled, shared) if small == form.inputs else (shared, scaled)
    low = at.product(source, first, inner)
    high = at.swap(low, at.product(low, second, form.outputs))
    added = at.swap(high, at.scaled(high))
    return _onto(at, x, source, result, added, scaled)


def _scaled_bases(at: Site, rank: int, bases: int, small: int) -> Buffer:
    """Lambda * A * gamma as UniqueBaseGrad makes it, and its gradients by two sums of products."""
    whole = rank * bases * small
    lengths, columns = at.parameter(rank * bases), at.parameter(bases * small)
    first = at.matrix(whole, at.dtype)

    def backward(tape: Tape, _: Buffer) -> Given:
        parts = []
        for one in (lengths, columns):
            passing = at.fresh(whole)
            own = given(tape, one)
            tape.discard(passing)
            parts.append((one, own))
        return parts

    keeps = (at.frozen(rank * small, at.dtype), lengths, columns)
    scaled = at.matrix(whole, at.dtype, (lengths, columns), keeps, backward)
    at.drop(first)
    return scaled


def delora(at: Site, x: Buffer) -> Buffer:
    """Low-rank factors of unit length, times a trained length, behind the norms of the weight's columns."""
    form, rank = at.form, at.tuner.rank
    a, b = at.parameter(rank * form.inputs), at.parameter(rank * form.outputs)
    result = at.base(x)
    total = at.alike(result, at.frozen(0, at.dtype), row=at.row)  # zeros
    source = at.times(x, at.frozen(form.inputs, at.dtype))
    low = at.swap(source, at.product(source, a, rank))
    lengths = at.matrix(rank, at.dtype, (a, b, at.parameter(1)), (a, b))
    scaled = at.swap(low, at.times(low, lengths))
    high = at.swap(scaled, at.product(scaled, b, form.outputs))
    at.added_in_place(total, high)
    final = at.plus(result, total, at.row)
    at.drop(high, lengths, total, result)
    return at.finished(final, x.dtype)


def gralora(at: Site, x: Buffer) -> Buffer:
    """Low-rank factors of blocks, whose narrow results change places between the two products."""
    form, rank = at.form, at.tuner.rank
    blocks, hybrid = at.tuner.number("gralora_k"), at.tuner.number("hybrid_r")
    result = at.base(x)
    low = _narrow(at, x, form.inputs * rank, rank * blocks)
    mixed = at.swap(low, at.alike(low))
    high = at.swap(mixed, at.product(mixed, at.parameter(form.outputs * rank), form.outputs))
    _added(at, result, high)
    if hybrid:
        narrow = _narrow(at, x, hybrid * form.inputs, hybrid)
        wide = at.swap(narrow, at.product(narrow, at.parameter(hybrid * form.outputs), form.outputs))
        _added(at, result, wide)
        at.drop(wide)
    at.drop(high)
    return at.finished(result, x.dtype)


def _narrow(at: Site, x: Buffer, elements: int, width: int) -> Buffer:
    """The first product, of a copy of the input that has no name."""
    source = at.cast(x, at.dtype)
    low = at.product(source, at.parameter(elements), width)
    at.drop(*([source] if source is not x else []))
    return low


def _added(at: Site, result: Buffer, more: Buffer) -> None:
    """`result += c * more.to(result.dtype)`."""
    narrow = at.cast(more, result.dtype)
    scaled = at.scaled(narrow)
    at.added_to_base(result, scaled)
    at.drop(scaled, *([narrow] if narrow is not more else []))
