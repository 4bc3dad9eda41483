"""LitGPT's attention and loss, operation by operation (litgpt/model.py, lora.py, utils.py)."""

from __future__ import annotations

from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.formula.adapters.lora_branch import BRANCH
from toolkit.memory.formula.attention.attention import rotate
from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import KERNELS
from toolkit.memory.formula.attention.rotary import ROTARY
from toolkit.memory.formula.caches.cached import READS
from toolkit.memory.formula.ends.logits import FLOAT, GRADIENT, LOGITS, PROBABILITIES, HeadForm
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import (
    Given,
    add,
    cast,
    drop_out,
    letting_go,
    part_of,
    scale,
    split,
    transposed,
)
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

CHUNK_POSITIONS = 128
"""Positions of every sequence in one chunk of the loss (chunked_cross_entropy)."""


@frozen
class LitAttentionForm:
    """LitGPT's attention: one projection for queries, keys and values, with an adapter for some of them.

    `kernel` is the attention kernel, with keys and values for every query head. `turned` is the rotated width of a
    head; `adapted` are the widths with an adapter. `repeats_kept` says that generation repeats keys and values for
    every query head when it reads the cache, not before it fills the cache.
    """

    fused: LinearForm
    output: LinearForm
    kernel: AttentionForm
    groups: int
    turned: int
    branch: Branch | None = None
    adapted: tuple[int, ...] = ()
    repeats_kept: bool = False


def attend_litgpt(tape: Tape, x: Buffer, form: LitAttentionForm) -> Buffer:
    """CausalSelfAttention.forward, whose tensors all stay named to its end; the caller keeps `x`."""
    kernel = form.kernel
    whole = linear(tape, x, form.fused, STATES)
    if form.branch is not None:
        whole = _with_adapters(tape, x, whole, form, form.branch)
    every, some = kernel.query_heads * kernel.head_dim, form.groups * kernel.head_dim
    query, key, value = split(tape, whole, (every, some, some))
    generates = tape.cache != ""
    early = not generates or not (form.repeats_kept or form.groups == 1)
    if early and form.groups != kernel.query_heads:
        query = transposed(tape, query)  # its heads lie in groups, between keys and values
        key, value = (_for_all_heads(tape, part, every) for part in (key, value))
    turned, held = _turned(tape, query, form)
    turned_key, held_key = _turned(tape, key, form)
    tape.drop(query, key)
    if generates:
        turned_key, value = _of_cache(tape, turned_key, value, form)
    attend = KERNELS["masked" if generates else kernel.kernel]
    attended = attend(tape, turned, turned_key, value, kernel)
    result = linear(tape, attended, form.output, OUTPUT)
    tape.drop(attended, turned, turned_key, value, held, held_key, whole)
    return result


def _of_cache(tape: Tape, key: Buffer, value: Buffer, form: LitAttentionForm) -> tuple[Buffer, Buffer]:
    """Keys and values as cached, in preallocated memory, or repeated for every query head."""
    dtype, width = key.dtype, form.kernel.query_heads * form.kernel.head_dim
    tape.drop(key, value)
    if not form.repeats_kept or form.groups in (1, form.kernel.query_heads):
        return tape.new(STATES, width, dtype, size=Size()), tape.new(STATES, width, dtype, size=Size())
    each = width * BYTES[dtype]
    size = Size(pair=each) if tape.cache == READS else Size(token=each)
    return tape.new(STATES, width, dtype, size=size), tape.new(STATES, width, dtype, size=size)


def _for_all_heads(tape: Tape, x: Buffer, width: int) -> Buffer:
    """Expand and reshape: a copy for every query head."""
    result = tape.new(STATES, width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _turned(tape: Tape, x: Buffer, form: LitAttentionForm) -> tuple[Buffer, Buffer]:
    """cat((apply_rope(x[..., :n]), x[..., n:])), with float32 angles, and the rotated part, which stays named."""
    wide = replace(form.kernel, wide_rotary=True)
    share = x.width * form.turned // form.kernel.head_dim
    part = x if share == x.width else part_of(tape, x, share, copies=False)
    total = rotate(tape, part, wide)
    roped = letting_go(tape, total, cast(tape, total, x.dtype, ROTARY))
    result = tape.new(STATES, x.width, x.dtype, grad=x.grad)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        rest = [] if part is x else [(x, tape.gradient(x))]
        return [(roped, tape.share(gradient, roped) if part is x else tape.gradient(roped)), *rest]

    return tape.node(result, backward), roped


def _with_adapters(tape: Tape, x: Buffer, base: Buffer, form: LitAttentionForm, branch: Branch) -> Buffer:
    """LoRAQKVLinear.forward: one A for all adapted parts, B as a grouped convolution, and zeros for other parts."""
    count, outputs = len(form.adapted), sum(form.adapted)
    dropped = drop_out(tape, x, BRANCH) if branch.dropout else x
    first = LinearForm(x.width, count * branch.rank, branch.dtype, trains=True, gradient=branch.gradient)
    low = linear(tape, dropped, first, BRANCH)
    if dropped is not x:
        tape.drop(dropped)
    second = replace(first, inputs=count * branch.rank, outputs=outputs, weights=outputs * branch.rank)
    high = linear(tape, low, second, BRANCH)
    padded = _padded(tape, high, form.fused.outputs) if outputs != form.fused.outputs else high
    scaled = scale(tape, padded, BRANCH, constants=0)
    total = add(tape, base, scaled, STATES)
    tape.drop(low, high, padded, scaled, base)
    return total


def _padded(tape: Tape, x: Buffer, width: int) -> Buffer:
    """zero_pad: index_copy into zeros, which saves what it copies; backward selects from the gradient."""
    zeros = Size(token=width * BYTES[x.dtype])
    with tape.temporary(BRANCH, zeros):
        result = tape.new(BRANCH, width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward, tape.save(x))


def all_logits(tape: Tape, x: Buffer, form: HeadForm) -> None:
    """Generation forms the logits of all positions at once; Fabric casts them to float32 once forward has returned."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    logits = linear(tape, normed, form.projection, LOGITS)
    tape.drop(normed)
    tape.drop(letting_go(tape, logits, cast(tape, logits, "fp32", FLOAT)))


def chunked_logits(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Logits of 128 positions at a time, all in a list, to which the loop refers until the next pass is done.

    Fabric casts them to float32 (HalfPrecision.convert_output).
    """
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    logits = linear(tape, normed, form.projection, LOGITS)
    floats = letting_go(tape, logits, cast(tape, logits, "fp32", FLOAT))
    tape.drop(normed)
    tape.pin(floats)
    return floats


def chunked_logits_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Their loss chunk by chunk; backward runs the loss of all chunks before the first output projection."""
    floats = chunked_logits(tape, x, form)
    chunk = Size(chunk=floats.width * BYTES["fp32"])
    with tape.temporary(FLOAT, chunk):  # the last chunk without its last position is not contiguous
        probabilities = tape.new(PROBABILITIES, floats.width, "fp32", size=floats.size)
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(GRADIENT, chunk):  # every chunk frees its probabilities as it gets its gradient
            tape.discard(probabilities)
        return [(floats, tape.fresh(GRADIENT, floats.size, "fp32", floats.width))]

    probabilities.references += 1
    tape.node(result, backward)
    tape.drop(probabilities, floats)
    return result
