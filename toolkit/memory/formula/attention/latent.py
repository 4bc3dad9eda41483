"""Multi-head latent attention: keys and values come out of a narrow latent, which is what a cache keeps.

Older releases of transformers keep what comes out of it. Source: transformers 5.23 modeling_deepseek_v2.py and
modeling_deepseek_v3.py, Attention.forward, expand_kv. Where keys are wider than values, of torch's kernels the memory-
efficient one attends, and FlashAttention is given values that are filled up to the width of keys, and its result is
cut (integrations/flash_attention.py). Widths: N = heads x the part of a head without positions, R = heads x the part
with them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import FLASH_KERNELS, KERNELS, eager
from toolkit.memory.formula.attention.fused_kernel import Working, attended, efficient_working
from toolkit.memory.formula.attention.indexer import IndexForm, masked_by_choice
from toolkit.memory.formula.caches.cached import READS, cached
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, cast, letting_go, split, widened
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.spec.fields.kernel_names import MATH

ROTARY = "rotary_states"


@dataclass(frozen=True, slots=True)
class LatentForm:
    """A latent attention: `nope` and `rope` are the parts of a head without and with positions.

    `query` is one linear, or one into a latent and one out of it. `complex_rotary` says that positions are turned in as
    complex float32 numbers (V2), else by halves (V3). `caches_expanded`: a cache has what all heads
    attend to.
    """

    heads: int
    nope: int
    rope: int
    value: int
    rank: int
    query: tuple[LinearForm, ...]
    compress: LinearForm
    expand: LinearForm
    output: LinearForm
    norm: NormForm
    complex_rotary: bool
    attention: AttentionForm  # of the heads, once keys and values are expanded
    wide_rotary: bool = False
    caches_expanded: bool = False
    index: IndexForm | None = None

    @property
    def head(self) -> int:
        """The width of a head of queries and keys."""
        return self.nope + self.rope


def attend_latent(tape: Tape, x: Buffer, form: LatentForm) -> Buffer:
    """Queries, latents, rotary embedding, keys and values, kernel, output; the caller keeps `x`. All names last."""
    whole, resid = _queries(tape, x, form)
    plain, turned = split(tape, whole, (form.heads * form.nope, form.heads * form.rope))
    narrow = linear(tape, x, form.compress, STATES)
    latent, position = split(tape, narrow, (form.rank, form.rope))
    latent = normalise(tape, latent, form.norm)
    turned, position = _turned(tape, (turned, position), form)
    if not form.caches_expanded:
        latent, position = cached(tape, latent, position)
    query = _joined(tape, (plain, turned), form.heads * form.head)
    expanded, key, value = _expanded(tape, latent, position, form)
    if form.caches_expanded:
        key, value = cached(tape, key, value)
    held = masked_by_choice(tape, x, resid[0], form.index) if form.index is not None else ()
    mixed = _mixed(tape, query, key, value, form)
    result = linear(tape, mixed, form.output, OUTPUT)
    tape.drop(whole, narrow, latent, turned, position, query, expanded, key, value, mixed, *held, *resid, *tape.named)
    tape.named.clear()
    return result


def _queries(tape: Tape, x: Buffer, form: LatentForm) -> tuple[Buffer, tuple[Buffer, ...]]:
    """Queries, and their latent where an indexer reads it, too."""
    first, *rest = form.query
    states = linear(tape, x, first, STATES)
    for after in rest:
        latent = letting_go(tape, states, normalise(tape, states, form.norm))
        states = linear(tape, latent, after, STATES)
        if form.index is not None:
            return states, (latent,)
        tape.drop(latent)
    return states, ()


def _turned(tape: Tape, parts: tuple[Buffer, Buffer], form: LatentForm) -> tuple[Buffer, ...]:
    """Both parts with positions turned in; of V2 float32 copies of both are there while each is multiplied."""
    turn = _by_complex if form.complex_rotary else _by_halves
    return turn(tape, parts, form)


def _by_complex(tape: Tape, parts: tuple[Buffer, Buffer], _: LatentForm) -> tuple[Buffer, ...]:
    wide = tuple(cast(tape, part, "fp32", ROTARY) for part in parts)
    results = []
    for part, floats in zip(parts, wide, strict=True):
        product = _passing(tape, floats, floats.dtype)
        results.append(letting_go(tape, product, cast(tape, product, part.dtype, STATES)))
    tape.drop(*(floats for part, floats in zip(parts, wide, strict=True) if floats is not part))
    return tuple(results)


def _by_halves(tape: Tape, parts: tuple[Buffer, Buffer], form: LatentForm) -> tuple[Buffer, ...]:
    """Cat((a cos - b sin, b cos + a sin)) of the even and the odd columns."""
    results = []
    for part in parts:
        dtype = "fp32" if form.wide_rotary else part.dtype
        half = Size(*[size * BYTES[dtype] // BYTES[part.dtype] // 2 for size in part.size])
        with tape.temporary(ROTARY, half.times(3)):
            pass
        with tape.temporary(ROTARY, half.times(2)):
            results.append(_passing(tape, part, dtype))
    return tuple(results)


def _passing(tape: Tape, x: Buffer, dtype: str) -> Buffer:
    """A new tensor of x's shape whose backward is another; it keeps nothing of x."""
    result = tape.new(STATES, x.width, dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _joined(tape: Tape, parts: tuple[Buffer, ...], width: int) -> Buffer:
    """torch.cat of parts side by side: views of its gradient are theirs."""
    dtype = "fp32" if any(part.dtype == "fp32" for part in parts) else parts[0].dtype
    result = tape.new(STATES, width, dtype, grad=any(part.grad for part in parts))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(part, tape.share(gradient, part)) for part in parts if part.grad]

    return tape.node(result, backward)


def _expanded(tape: Tape, latent: Buffer, position: Buffer, form: LatentForm) -> tuple[Buffer, Buffer, Buffer]:
    """What comes out of the latent, the keys put together of it and of the one part with positions, and the values.

    While a cache of latents is read, all of them are expanded for each token.
    """
    widths = (form.heads * form.nope, form.heads * form.value)
    if tape.cache == READS and not form.caches_expanded:
        each = BYTES[latent.dtype]
        whole = tape.new(STATES, sum(widths), latent.dtype, size=Size(pair=sum(widths) * each))
        key = tape.new(STATES, form.heads * form.head, latent.dtype, size=Size(pair=form.heads * form.head * each))
        of_values = Size(pair=widths[1] * each)
        value = Buffer(STATES, of_values, widths[1], latent.dtype, grad=False, held=False, counted=False, base=whole)
        return whole, key, value
    whole = linear(tape, latent, form.expand, STATES)
    plain, value = split(tape, whole, widths)
    key = tape.new(STATES, form.heads * form.head, whole.dtype, grad=whole.grad or position.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary("activation_gradients", Size(token=form.heads * form.head * BYTES[whole.dtype])):
            given = [(plain, tape.gradient(plain))] if plain.grad else []
        return [*given, (position, tape.gradient(position))] if position.grad else given

    tape.node(key, backward)
    return whole, key, value


def _mixed(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: LatentForm) -> Buffer:
    """The values of all heads, mixed by the kernel that attends."""
    if form.attention.kernel == "eager":
        return eager(tape, query, key, value, form.attention)
    if form.head == form.value or form.attention.kernel == MATH:
        return KERNELS[form.attention.kernel](tape, query, key, value, form.attention)
    if form.attention.kernel in FLASH_KERNELS:
        return _filled_up(tape, query, key, value, form)
    return _efficient(tape, (query, key, value), form)


def _efficient(tape: Tape, states: tuple[Buffer, ...], form: LatentForm) -> Buffer:
    """The memory-efficient kernel: saves queries, keys, values, a bias, its result and a float32 log-sum-exp."""
    dtype = form.attention.autocast or states[0].dtype
    inner = tuple(cast(tape, part, dtype, STATES) for part in states)
    masked = form.attention.kernel == "masked"
    bias = (tape.new(SCORES, 0, dtype, size=Size(pair=BYTES[dtype])),) if masked else ()
    result = attended(tape, inner, form.attention, Working(after=efficient_working(form.heads, form.head)), bias)
    tape.drop(*bias, *(part for part, own in zip(inner, states, strict=True) if part is not own))
    return result


def _filled_up(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: LatentForm) -> Buffer:
    """FlashAttention on heads of one width; a copy of what is cut out of its result goes on."""
    filled = _refit(tape, value, form.heads * form.head)
    wide = replace(form.attention, value_head_dim=form.head)
    if wide.kernel != "packed":
        wide = replace(wide, rotary="none")  # nothing is put in order before the cut
    whole = KERNELS[wide.kernel](tape, query, key, filled, wide)
    result = _refit(tape, whole, form.heads * form.value)
    tape.drop(filled, whole)
    return result


def _refit(tape: Tape, x: Buffer, width: int) -> Buffer:
    """Heads in a new tensor, each filled up with zeros or cut; backward does the other."""
    size = widened(x, width, x.dtype)
    result = tape.new(x.row, width, x.dtype, grad=x.grad, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)
