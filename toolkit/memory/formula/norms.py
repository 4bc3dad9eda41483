"""Normalisations: RMSNorm in transformers' separate float32 operations, LayerNorm as one kernel."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.bare_norms import bare_norm, biased_row, divided, less, mean_of, one_plus_norm
from toolkit.memory.formula.operations import Given, cast, letting_go, resized, split, widened, wider
from toolkit.memory.formula.trainers.liger import liger_norm
from toolkit.memory.formula.trainers.triton_kernels import fast_norm
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "norm_states"


@frozen
class NormForm:
    """A normalisation: its kind, the dtype of its weight, and whether that is trained."""

    kind: str
    dtype: str
    trains: bool
    autocast: bool = False
    cast: str | None = None  # the dtype of autocast, for a norm whose code takes it
    rows: int = 1  # of each token: as many as heads, where each is normalized
    heads: int = 0  # each of so many heads has its own norm, and the results are concatenated (StableLM 2 12B)
    fast: bool = False  # an RMSNorm by Unsloth's kernel
    liger: bool = False  # an RMSNorm by Liger's kernel; with `over` it writes its gradient over the incoming one
    over: bool = True
    unit_offset: bool = False  # Gemma: (1 + weight) times the float32 values, then the cast; so gpt-oss, without the 1


def normalise(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """The normalised activations; the caller keeps `x`."""
    if form.heads:
        return _by_head(tape, x, form)
    return NORMS[form.kind](tape, x, form)


def _rms_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """x.float(), its mean square, their product, cast back, times the weight (transformers' LlamaRMSNorm)."""
    if form.fast:
        return fast_norm(tape, x, form.rows)
    if form.liger:
        return liger_norm(tape, x, form.rows, in_place=form.over)
    wide = cast(tape, x, "fp32", ROW)
    inverse = inverse_root(tape, wide, form.rows)
    scaled = times_inverse(tape, wide, inverse)
    if wide is not x:
        tape.drop(wide)
    tape.drop(inverse)
    return _weighted(tape, scaled, x.dtype, form)


def _bare_rms_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """The same without a weight (modeling_gemma4.py, Gemma4RMSNorm with_scale=False)."""
    wide = cast(tape, x, "fp32", ROW)
    inverse = inverse_root(tape, wide, form.rows)
    scaled = times_inverse(tape, wide, inverse)
    if wide is not x:
        tape.drop(wide)
    tape.drop(inverse)
    return letting_go(tape, scaled, cast(tape, scaled, x.dtype, ROW))


def times_inverse(tape: Tape, wide: Buffer, inverse: Buffer) -> Buffer:
    """`x * inverse`, both float32: both are saved."""
    saved = tape.save(wide, inverse) if wide.grad else ()
    scaled = tape.new(ROW, wide.width, "fp32", grad=wide.grad, size=wide.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        direct = tape.gradient(wide)
        product = tape.gradient(wide)
        to_inverse = tape.gradient(inverse)
        tape.discard(product)
        return [(wide, direct), (inverse, to_inverse)]

    return tape.node(scaled, backward, saved)


def inverse_root(tape: Tape, wide: Buffer, rows: int = 1) -> Buffer:
    """rsqrt(mean(x^2)): saves the input and one number for each of a token's `rows`."""
    saved = tape.save(wide) if wide.grad else ()
    squares = tape.new(ROW, wide.width, "fp32", size=wide.size)
    narrow = Size(*[part // max(wide.width, 1) * rows for part in wide.size])
    inverse = tape.new(ROW, 1, "fp32", grad=wide.grad, size=narrow)
    tape.drop(squares)

    def backward(tape: Tape, _: Buffer) -> Given:
        spread, power, scaled, result = (tape.gradient(wide) for _ in range(4))
        for temporary in (spread, power, scaled):
            tape.discard(temporary)
        return [(wide, result)]

    return tape.node(inverse, backward, saved + (tape.save(inverse) if wide.grad else ()))


def _weighted(tape: Tape, scaled: Buffer, dtype: str, form: NormForm) -> Buffer:
    """The product with the weight, before (Gemma) or after the cast back to the input's dtype."""
    if form.unit_offset:
        product = times_weight(tape, scaled, "fp32", form, form.rows)
        tape.drop(scaled)
        return letting_go(tape, product, cast(tape, product, dtype, ROW))
    narrow = cast(tape, scaled, dtype, ROW)
    product = times_weight(tape, narrow, wider(dtype, form.dtype), form, form.rows)
    tape.drop(narrow, scaled)
    return product


def times_weight(tape: Tape, x: Buffer, dtype: str, form: NormForm, rows: int = 1) -> Buffer:
    """`weight * x` in a dtype: x is saved where the weight is trained, which each of a token's `rows` shares."""
    needs = x.grad or form.trains
    saved = tape.save(*([x] if form.trains else []), constants=1) if needs else ()
    product = tape.new(ROW, x.width, dtype, grad=needs, size=resized(x, dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        if form.trains:  # the weight's gradient is summed over the tokens from a full product
            whole = tape.gradient(gradient)
            given = [(x, tape.gradient(x))] if x.grad else []
            if x.size.token == x.width * BYTES[x.dtype]:
                tape.summed(x.width // rows, rows)
            tape.discard(whole)
            return given
        return [(x, tape.gradient(x))] if x.grad else []

    return tape.node(product, backward, saved)


def _layer_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """native_layer_norm: saves its input, the mean and the inverse deviation; under autocast it runs in float32."""
    inner = cast(tape, x, "fp32", ROW) if form.autocast else x
    numbers = 2 * max(form.heads, form.rows)
    statistics = tape.new(ROW, numbers, "fp32", size=widened(inner, numbers, "fp32"))
    needs = x.grad or form.trains
    result = tape.new(ROW, inner.width, inner.dtype, grad=needs, size=inner.size)
    saved = tape.save(inner, statistics, constants=1) if needs else ()  # statistics are results: it has run

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(inner, tape.gradient(inner))] if x.grad else []

    tape.node(result, backward, saved)
    tape.drop(statistics)
    if inner is not x:
        tape.drop(inner)
    return result


def _fused_rms_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """_fused_rms_norm: saves its input and the float32 inverse root of each row."""
    inverse = tape.new(ROW, form.rows, "fp32", size=widened(x, form.rows, "fp32"))
    needs = x.grad or form.trains
    result = tape.new(ROW, x.width, x.dtype, grad=needs, size=x.size)
    saved = tape.save(x, inverse, constants=1) if needs else ()  # the root is a result: it has run

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))] if x.grad else []

    tape.node(result, backward, saved)
    tape.drop(inverse)
    return result


def _by_head(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """cat([norm(head) for each head]) (transformers modeling_stablelm.py, StableLmLayerNormPerHead)."""
    [heads] = split(tape, x, (x.width,))
    normed = _layer_norm(tape, heads, form)
    result = tape.new(ROW, normed.width, normed.dtype, grad=normed.grad, size=normed.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(normed, tape.share(gradient, normed))]

    tape.node(result, backward)
    tape.drop(normed)
    return result


def _t5_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """X times its float32 inverse root, cast to the weight's dtype if that is a short one (modeling_t5.py)."""
    wide = cast(tape, x, "fp32", ROW)
    inverse = inverse_root(tape, wide)
    if wide is not x:
        tape.drop(wide)
    saved = tape.save(x, inverse) if x.grad else ()
    scaled = tape.new(ROW, x.width, "fp32", grad=x.grad, size=resized(x, "fp32"))

    def backward(tape: Tape, _: Buffer) -> Given:
        direct = tape.gradient(x, "fp32")
        product = tape.gradient(x, "fp32")
        to_inverse = tape.gradient(inverse)
        given = direct if x.dtype == "fp32" else tape.gradient(x)
        tape.discard(product)
        if given is not direct:
            tape.discard(direct)
        return [(x, given), (inverse, to_inverse)]

    tape.node(scaled, backward, saved)
    tape.drop(inverse)
    narrow = letting_go(tape, scaled, cast(tape, scaled, form.dtype, ROW))
    result = times_weight(tape, narrow, form.dtype, form)
    tape.drop(narrow)
    return result


def _bare_norm(tape: Tape, x: Buffer, _: NormForm) -> Buffer:
    return bare_norm(tape, x)


def _one_plus_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    return one_plus_norm(tape, x, form.cast)


def _written_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """(x - mean) * rsqrt(mean((x - mean)^2)) in float32, times a float32 copy of the weight (CohereLayerNorm)."""
    wide = cast(tape, x, "fp32", ROW)
    mean = mean_of(tape, wide, form.rows)
    first = less(tape, wide, mean)
    inverse = inverse_root(tape, first, form.rows)
    tape.drop(first)
    second = less(tape, wide, mean)
    scaled = times_inverse(tape, second, inverse)
    if wide is not x:
        tape.drop(wide)
    tape.drop(second, inverse)
    product = times_weight(tape, scaled, "fp32", form)
    tape.drop(scaled, mean)
    return letting_go(tape, product, cast(tape, product, x.dtype, ROW))


def _deberta_norm(tape: Tape, x: Buffer, form: NormForm) -> Buffer:
    """(x - mean) / sqrt(mean((x - mean)^2)) in float32, cast back, times the weight, and a bias (DebertaLayerNorm)."""
    wide = cast(tape, x, "fp32", ROW)
    mean = mean_of(tape, wide)
    first = less(tape, wide, mean)
    root = inverse_root(tape, first)
    tape.drop(first)
    second = less(tape, wide, mean)
    scaled = divided(tape, second, root)
    if wide is not x:
        tape.drop(wide)
    tape.drop(second, root)
    narrow = letting_go(tape, scaled, cast(tape, scaled, x.dtype, ROW))
    product = times_weight(tape, narrow, wider(x.dtype, form.dtype), form)
    result = biased_row(tape, product, trains=form.trains)
    tape.drop(product, narrow, mean)
    return result


NORMS = {
    "layer": _layer_norm,
    "rms": _rms_norm,
    "fused rms": _fused_rms_norm,
    "t5": _t5_norm,
    "bare layer": _bare_norm,
    "bare rms": _bare_rms_norm,
    "written layer": _written_norm,
    "deberta layer": _deberta_norm,
    "layer plus one": _one_plus_norm,
}
"""The function of each kind of norm."""
