"""Methods that scale, shift or rotate a layer's input or result: IA3, BEFT, RoAd (peft 0.21, tuners/*/layer.py)."""

from __future__ import annotations

from toolkit.memory.formula.operations import Given
from toolkit.memory.formula.tuned.site import Site
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape


def ia3(at: Site, x: Buffer) -> Buffer:
    """The layer's result times a factor for each output, or the result for scaled inputs."""
    if at.tuner.option("inputs"):
        return _ia3_inputs(at, x)
    factor = at.alike(at.parameter(at.form.outputs))
    result = at.base(x)
    final = at.finished(at.times(result, factor, at.row), result.dtype)
    at.drop(result, factor)
    return final


def _ia3_inputs(at: Site, x: Buffer) -> Buffer:
    factor = at.alike(at.parameter(at.form.inputs))
    wide = at.cast(x, at.dtype)
    scaled = at.times(wide, factor)
    inner = at.swap(scaled, at.cast(scaled, x.dtype))
    result = at.base(inner)
    at.drop(inner, factor)
    if wide is not x:
        at.drop(wide)
    return result


def beft(at: Site, x: Buffer) -> Buffer:
    """The layer's result and a bias."""
    result = at.base(x)
    final = at.finished(at.plus(result, at.parameter(at.form.outputs), at.row), result.dtype)
    at.drop(result)
    return final


def road(at: Site, x: Buffer) -> Buffer:
    """The layer's result with pairs of outputs rotated and scaled: r * c + rotated(r) * s."""
    first, second = _columns(at)
    result = at.base(x)
    wide = at.swap(result, at.cast(result, at.dtype, at.row))
    turned = _half_turned(at, wide)
    direct, across = at.times(wide, first, at.row), at.times(turned, second, at.row)
    total = at.plus(direct, across, at.row)
    at.drop(turned, direct, across, first, second, wide)
    return at.finished(total, result.dtype)


def _columns(at: Site) -> tuple[Buffer, Buffer]:
    """Two factors for each output: magnitudes times the cosines and the sines of angles.

    Where pairs of outputs share a magnitude and an angle, both are repeated first.
    """
    outputs, variant = at.form.outputs, at.tuner.option("variant")
    trained = outputs * {"road_1": 1, "road_2": 2, "road_4": 4}[str(variant)] // 2
    angles, lengths = at.parameter(trained), at.parameter(trained)
    named: list[Buffer] = []
    if variant == "road_1":
        angles, lengths = (at.matrix(outputs, at.dtype, (one,)) for one in (angles, lengths))
        named += angles, lengths
    columns = []
    for _ in ("cosine", "sine"):
        turned = at.matrix(outputs, at.dtype, (angles,), (angles,))
        long = at.matrix(outputs, at.dtype, (lengths,)) if variant == "road_4" else lengths
        columns.append(at.matrix(outputs, at.dtype, (turned, long), (turned, long)))
        at.drop(turned, *([long] if variant == "road_4" else []))
    at.drop(*named)
    return columns[0], columns[1]


def _half_turned(at: Site, x: Buffer) -> Buffer:
    """stack((-x2, x1)): a new tensor, and while it is made the negated half.

    Backward puts the gradient of each half into zeros of the whole.
    """
    half = Size(*[part // 2 for part in x.size])
    with at.tape.temporary(at.row, half):
        pass

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(INCOMING, half):
            whole = tape.gradient(x)
        tape.discard(tape.gradient(x))
        return [(x, whole)]

    return at.made(x.size, x.dtype, (x,), width=x.width, row=at.row, backward=backward)


def trainable_tokens(at: Site, x: Buffer) -> Buffer:
    """The product with a copy of an embedding in which a few rows are replaced by the trained ones."""
    rows = at.parameter(at.tuner.number("num_tokens") * at.form.inputs)
    table = at.matrix(at.form.elements, at.form.dtype, (rows,))
    result = at.product(x, table, at.form.outputs, at.row)
    at.drop(table)
    return result
