"""torchtitan's own code: rotary embedding of adjacent pairs as complex numbers, and its loss.

Sources: torchtitan/models/llama3/model/model.py (apply_rotary_emb, repeat_kv, Attention.forward), components/loss.py
(cross_entropy_loss) and train.py (forward_backward_step) of its releases 0.1.0 to 0.2.2.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import KERNELS
from toolkit.memory.formula.attention.repeated import repeated
from toolkit.memory.formula.attention.rotary import ROTARY
from toolkit.memory.formula.ends.logits import FLOAT, LABELS, LOGITS, HeadForm, cross_entropy
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import cast, scale
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class TitanAttentionForm:
    """torchtitan's attention, with transformers' widths; `repeats`: keys and values are repeated for query heads."""

    inner: AttentionForm
    repeats: bool


def attend_torchtitan(tape: Tape, x: Buffer, form: TitanAttentionForm) -> Buffer:
    """Attention.forward with sdpa; the caller keeps `x`."""
    inner = form.inner
    if not isinstance(inner.projections, tuple):
        raise TypeError("torchtitan's queries, keys and values have a weight each")
    first, second, third = (linear(tape, x, part, STATES) for part in inner.projections)
    query, key = _turned(tape, first, second)
    tape.drop(first, second)
    value = third
    if form.repeats and inner.is_grouped:
        turned, (key, value) = key, (repeated(tape, part, inner) for part in (key, third))
        tape.drop(turned, third)
    heads = inner.query_heads if form.repeats else inner.key_value_heads
    spread = replace(inner, key_value_heads=heads, repeats=False)
    attended = KERNELS[inner.kernel](tape, query, key, value, spread)
    result = linear(tape, attended, inner.output, OUTPUT)
    tape.drop(attended, query, key, value)
    return result


def _turned(tape: Tape, query: Buffer, key: Buffer) -> tuple[Buffer, Buffer]:
    """apply_rotary_emb: float32 copies of both, their products with the angles, and these cast back one by one.

    A complex number is two adjacent float32 numbers, so complex views take no memory.
    """
    wide = [cast(tape, part, "fp32", ROTARY) for part in (query, key)]
    products = [scale(tape, part, ROTARY) for part in wide]
    first, second = (cast(tape, part, query.dtype, STATES) for part in products)
    if first is not products[0]:
        tape.drop(*products)
    tape.drop(*(part for part, whole in zip(wide, (query, key), strict=True) if part is not whole))
    return first, second


def titan_outputs_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """The loss of float32 logits; the loop refers to the model's own logits until the loss is computed."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    logits = linear(tape, normed, form.projection, LOGITS)
    tape.drop(normed)
    labels = tape.new(LABELS, 1, "int64")
    wide = cast(tape, logits, "fp32", FLOAT)
    result = cross_entropy(tape, wide)
    tape.drop(wide, logits, labels)
    return result
