"""Megatron-LM's layers of TransformerEngine's modules, its fused operations, and its loss over a split vocabulary.

Sources: megatron/core/transformer/transformer_layer.py, attention.py, mlp.py; core/fusions (fused_bias_dropout,
fused_bias_gelu, fused_bias_swiglu); core/tensor_parallel/cross_entropy.py (_VocabParallelCrossEntropy), at commit
d98e8a6; transformer_engine/pytorch/attention/dot_product_attention/backends.py at commit d0067d0.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES, AttentionForm
from toolkit.memory.formula.attention.fused_kernel import Working, attended, flash_working
from toolkit.memory.formula.attention.repeated import repeated
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS, HeadForm
from toolkit.memory.formula.feed_forward import ROW as FED
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, contract, letting_go, resized, split, transposed
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

RESIDUAL = "residual_stream"


@frozen
class MegatronForm:
    """A layer: `fused` makes queries, keys and values, `up` what the activation takes, gate and all if `gated`.

    `attention` has the widths and the kernel: eager (TransformerEngine's unfused attention), flash (FlashAttention,
    which takes batches first) or sdpa (cuDNN's, which takes what the layer has). `turns`: rotary embedding.
    """

    hidden: int
    norm: NormForm
    fused: LinearForm
    attention: AttentionForm
    output: LinearForm
    up: LinearForm
    down: LinearForm
    gated: bool
    turns: bool
    dropout: bool


def megatron_layer(tape: Tape, x: Buffer, form: MegatronForm) -> Buffer:
    """TransformerLayer.forward; the caller keeps `x`."""
    normed = normalise(tape, x, form.norm)
    given = _attention(tape, normed, form)
    tape.drop(normed)
    middle = letting_go(tape, given, _dropped_onto(tape, given, x, dropout=form.dropout))
    inner = normalise(tape, middle, form.norm)
    first = linear(tape, inner, form.up, FED)
    tape.drop(inner)
    active = letting_go(tape, first, _activated(tape, first, form.down.inputs))
    fed = letting_go(tape, active, linear(tape, active, form.down, FED))
    result = letting_go(tape, fed, _dropped_onto(tape, fed, middle, dropout=form.dropout))
    tape.drop(middle)
    return result


def _attention(tape: Tape, normed: Buffer, form: MegatronForm) -> Buffer:
    inner = form.attention
    whole = linear(tape, normed, form.fused, STATES)
    queries, keys = inner.query_heads * inner.head_dim, inner.key_value_heads * inner.head_dim
    states = split(tape, whole, (queries, keys, keys))
    if form.turns or inner.kernel == "flash" or inner.is_grouped:  # copies, and the product is let go of
        states = tuple(_laid_out(tape, part) for part in states)
        tape.drop(whole)
    query, key, value = states
    if inner.kernel == "eager":
        mixed = _unfused(tape, query, key, value, inner)
    else:
        flash = inner.kernel == "flash"
        working = flash_working(inner, query.dtype) if flash else Working()
        mixed = attended(tape, (query, key, value), inner, working)
        mixed = letting_go(tape, mixed, transposed(tape, mixed)) if flash else mixed
    tape.drop(*states, whole)
    return letting_go(tape, mixed, linear(tape, mixed, form.output, OUTPUT))


def _laid_out(tape: Tape, x: Buffer) -> Buffer:
    """A rotated or contiguous copy; backward gives the gradient of what it is a copy of."""
    result = tape.new(STATES, x.width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _unfused(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """UnfusedDotProductAttention: scores into a tensor made for them, a fused causal softmax, dropout, their product.

    The softmax saves its result, and its backward writes over the gradient (fused_softmax, scaled_upper_triang).
    """
    keys, values = (repeated(tape, part, form) if form.is_grouped else part for part in (key, value))
    pairs = Size(pair=form.query_heads * BYTES[query.dtype])
    with tape.temporary(SCORES, pairs):
        scores = contract(tape, query, keys, SCORES, 0, pairs, added=True)
    weights = letting_go(tape, scores, _softmax(tape, scores))
    if form.dropout:
        weights = letting_go(tape, weights, _dropped(tape, weights))
    width = form.query_heads * form.value_head_dim
    mixed = contract(tape, weights, values, OUTPUT, width, Size(token=width * BYTES[query.dtype]))
    tape.drop(weights)
    if form.is_grouped:
        tape.drop(keys, values)
    return letting_go(tape, mixed, transposed(tape, mixed))


def _softmax(tape: Tape, scores: Buffer) -> Buffer:
    result = tape.new(SCORES, 0, scores.dtype, grad=scores.grad, size=scores.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(scores, tape.share(gradient, scores))]

    return tape.node(result, backward, tape.save(result) if scores.grad else ())


def _dropped(tape: Tape, x: Buffer) -> Buffer:
    mask = tape.new(x.row, 0, "bool", size=resized(x, "bool"))
    result = tape.new(x.row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(result, backward, tape.save(mask))
    tape.drop(mask)
    return result


def _dropped_onto(tape: Tape, x: Buffer, stream: Buffer, *, dropout: bool) -> Buffer:
    """bias_dropout_add, one kernel: the stream plus what dropout leaves of x and its bias; a mask is saved."""
    result = tape.new(RESIDUAL, x.width, stream.dtype, grad=x.grad or stream.grad)
    saved: tuple[Buffer, ...] = ()
    if dropout and tape.trains:
        mask = tape.new(RESIDUAL, x.width, "bool")
        saved = tape.save(mask)
        tape.drop(mask)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        own = tape.gradient(x) if dropout else tape.share(gradient, x)
        return [(x, own), *([(stream, tape.share(gradient, stream))] if stream.grad else [])]

    return tape.node(result, backward, saved)


def _activated(tape: Tape, x: Buffer, width: int) -> Buffer:
    """bias_gelu or bias_swiglu, which save what they are given, gate and all."""
    saved = tape.save(x)
    result = tape.new(FED, width, x.dtype, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward, saved)


def megatron_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """_VocabParallelCrossEntropy: float32 logits that become probabilities and then their gradient, all in place.

    The logits themselves are named while it runs, and their gradient is cast to their dtype.
    """
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    logits = linear(tape, normed, form.projection, LOGITS)
    tape.drop(normed)
    wide = tape.new(FLOAT, logits.width, "fp32")
    result = tape.new(FLOAT, 1, "fp32", grad=True)
    saved = tape.save(wide)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(logits, tape.gradient(logits))]

    tape.node(result, backward, saved)
    tape.drop(wide, logits)
    return result
