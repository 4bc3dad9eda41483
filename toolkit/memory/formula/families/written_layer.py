"""Layers of GPT-J, CodeGen, GPT-Neo and MPT, whose code refers to the probabilities to its end.

Source: transformers 5.23 modeling_gptj.py (GPTJBlock), modeling_codegen.py (CodeGenBlock), modeling_gpt_neo.py
(GPTNeoBlock), modeling_mpt.py (MptBlock).
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.written_scores import WrittenForm, attend_written
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add, drop_out, letting_go
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class WrittenLayerForm:
    """A layer: attention and feed-forward in sequence with a norm each, or `parallel` with one norm."""

    hidden: int
    attention: WrittenForm
    feed_forward: FeedForwardForm
    norm: NormForm
    parallel: bool = False
    dropout: bool = False


def written_layer(tape: Tape, x: Buffer, form: WrittenLayerForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    normed = normalise(tape, x, form.norm)
    attended, probabilities = attend_written(tape, normed, form.attention)
    attended = _dropped_out(tape, attended, form)
    result = (_beside if form.parallel else _after)(tape, x, normed, attended, form)
    if probabilities.grad:
        tape.beside.append(probabilities)
    tape.drop(probabilities)
    return result


def _beside(tape: Tape, x: Buffer, normed: Buffer, attended: Buffer, form: WrittenLayerForm) -> Buffer:
    """Attention + feed_forward(norm(x)) + x."""
    fed = _dropped_out(tape, feed_forward(tape, normed, form.feed_forward), form)
    both = add(tape, attended, fed, RESIDUAL)
    result = letting_go(tape, both, add(tape, both, x, RESIDUAL))
    tape.drop(normed, attended, fed)
    return result


def _after(tape: Tape, x: Buffer, normed: Buffer, attended: Buffer, form: WrittenLayerForm) -> Buffer:
    """Attention + x = y, then y + feed_forward(norm(y))."""
    middle = add(tape, attended, x, RESIDUAL)
    tape.drop(normed)
    inner = normalise(tape, middle, form.norm)
    fed = _dropped_out(tape, feed_forward(tape, inner, form.feed_forward), form)
    result = add(tape, middle, fed, RESIDUAL)
    tape.drop(fed, inner, middle, attended)
    return result


def _dropped_out(tape: Tape, x: Buffer, form: WrittenLayerForm) -> Buffer:
    return letting_go(tape, x, drop_out(tape, x, RESIDUAL)) if form.dropout else x
