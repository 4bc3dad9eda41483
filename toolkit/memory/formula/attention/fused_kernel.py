"""What every fused attention kernel keeps, and what its backward makes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import KERNEL, OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.repeated import repeated
from toolkit.memory.formula.operations import Given, cast, letting_go, transposed
from toolkit.memory.size import BYTES, EFFICIENT_TILE, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.selected import selected
from toolkit.memory.tape.tape import Tape

LOCK = 16
"""Bytes of a block's lock and counter (kernel_backward.h, GradQTempStorage)."""


@frozen
class Working:
    """What a kernel's backward takes beside the gradients of its states, tensor by tensor: `before` and `after` them.

    Each is a request of its own: one of the size of all would find no room where they do.
    """

    before: tuple[Size, ...] = ()
    after: tuple[Size, ...] = ()


def attended(
    tape: Tape, states: tuple[Buffer, ...], form: AttentionForm, working: Working, beside: tuple[Buffer, ...] = ()
) -> Buffer:
    """The result of a kernel that saves q, k, v, what stands beside them, its result and a float32 log-sum-exp.

    Its backward needs `working` besides the gradients of the states, whose first are the queries. It makes all of them,
    and those that nothing asked for go at once.
    """
    needs = any(part.grad for part in states)
    result = selected(tape, OUTPUT, form.query_heads * form.value_head_dim, states[0].dtype, grad=needs)
    log_sums = selected(tape, OUTPUT, form.query_heads, "fp32", grad=False)
    saved = tape.save(*states, *beside, result, log_sums) if needs else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        with ExitStack() as taken:
            _take(tape, taken, working.before)
            given = [(part, tape.gradient(part)) for part in states]
            _take(tape, taken, working.after)
        for part, gradient in given:
            if not part.grad:
                tape.discard(gradient)
        return [(part, gradient) for part, gradient in given if part.grad]

    tape.node(result, backward, saved)
    tape.drop(log_sums)
    return result


def wanted(tape: Tape, states: Iterable[Buffer], working: Iterable[Size]) -> Given:
    """The gradients that a kernel makes for all its states before it works; those that are not needed are freed."""
    made = [(part, tape.gradient(part)) for part in states]
    with ExitStack() as taken:
        _take(tape, taken, working)
    for part, gradient in made:
        if not part.grad:
            tape.discard(gradient)
    return [(part, gradient) for part, gradient in made if part.grad]


def _take(tape: Tape, taken: ExitStack, sizes: Iterable[Size]) -> None:
    for size in sizes:
        taken.enter_context(tape.temporary(KERNEL, size))


def fused(
    tape: Tape, states: tuple[Buffer, Buffer, Buffer], form: AttentionForm, dtype: str, working: Working
) -> Buffer:
    """A flash kernel: saves q, k, v, its result and a float32 log-sum-exp; backward needs float32 sums of dq.

    Source: flash-attention 2 as in aten/src/ATen/native/transformers/cuda/flash_attn/flash_api.cpp: dq is
    accumulated in float32 over lengths padded to 128; dk and dv are made for every query head, then summed.
    """
    query, key, value = states
    if form.repeats:
        key, value = repeated(tape, key, form), repeated(tape, value, form)
    states, order = (query, key, value), -1 if form.kernel == "sdpa" else 1  # autocast casts the last argument first
    inner = tuple(cast(tape, part, dtype, STATES) for part in states[::order])[::order]
    result = attended(tape, inner, form, working)
    for part, original in zip(inner, (query, key, value), strict=True):
        if part is not original:
            tape.drop(part)
    if form.repeats:
        tape.drop(key, value)
    # The result lies in memory as the queries do: those put together anew have their heads before the positions. Not so
    # that of the memory-efficient kernel, which takes float32.
    turned = form.heads_first and dtype != "fp32"
    return letting_go(tape, result, transposed(tape, result)) if turned else result


def flash_working(form: AttentionForm, dtype: str) -> Working:
    """Sums of rows and of dq in float32, and dk and dv for every query head, all made after dq, dk and dv."""
    sums = Size(padded=form.query_heads * BYTES["fp32"])
    accumulated = Size(padded=form.query_heads * (-(-form.head_dim // 32) * 32) * BYTES["fp32"])
    expanded = expanded_heads(form, dtype) if not form.repeats else ()
    return Working(after=(sums, accumulated, *expanded))


def efficient_working(heads: int, width: int, *, lone: bool = False) -> tuple[Size, ...]:
    """The same of the memory-efficient kernel: sums of each row, and of the gradient of queries in float32, in blocks.

    Blocks are of 64 tokens and 64 columns of a head, each with a lock of 16 bytes; a `lone` token has one, too. Heads
    wider than 64 have other blocks on some GPUs, and on others sums of the gradients of keys and values, which are left
    out. Source: aten/src/ATen/native/transformers/cuda/mem_eff_attention/kernel_backward.h, workspace_size.
    """
    columns = -(-width // EFFICIENT_TILE)
    each = heads * columns * EFFICIENT_TILE * BYTES["fp32"] + heads * columns * LOCK // EFFICIENT_TILE
    if lone:
        return Size(sequence=heads * BYTES["fp32"]), Size(sequence=each * EFFICIENT_TILE)
    return Size(token=heads * BYTES["fp32"]), Size(tiled=each)


def expanded_heads(form: AttentionForm, dtype: str) -> tuple[Size, ...]:
    """Gradients of keys and of values for every query head, where several of them share these."""
    widths = (form.head_dim, form.value_head_dim) if form.is_grouped else ()
    return tuple(Size(token=form.query_heads * width * BYTES[dtype]) for width in widths)
