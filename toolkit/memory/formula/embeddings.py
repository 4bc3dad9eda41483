"""From token ids to the first layer's input, for models with a norm and dropout in between (encoders)."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add, drop_out, letting_go, scale
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "embedding_states"


@frozen
class EmbeddingsForm:
    """The sum of the embeddings, its norm if it has one, a product with the token mask (`masked`, DeBERTa) and dropout.

    Each of `tables` is added to the tokens': whether it has rows for each sequence, as of token types, or the same for
    all, as of positions that are counted. Code that `names` the embeddings keeps them until the model returns (GPT-2).

    With `leaf` the token embeddings are a leaf of the graph that is summed with others: they are frozen, but require a
    gradient for checkpoints (transformers, enable_input_require_grads), and the graph holds them. Where they are
    `kept`, nothing is added to them, and the norm saves only float32 copies (the first DeBERTa). `hidden` is their
    width, which `project` maps to that of the layers.
    """

    hidden: int
    norm: NormForm | None
    dropout: bool
    masked: bool = False
    leaf: bool = False
    kept: bool = False
    project: LinearForm | None = None
    tables: tuple[bool, ...] = ()
    names: bool = False


def embed(tape: Tape, form: EmbeddingsForm, dtype: str, *, grad: bool) -> Buffer:
    """The first layer's input. The norm saves the sum of the embeddings; dropout saves its mask."""
    tokens = total = tape.new(ROW, form.hidden, dtype, grad=grad)
    if form.leaf:
        tape.save(tokens)
    tables = []
    for each in form.tables:
        size = form.hidden * BYTES[dtype]
        tables.append(tape.new(ROW, form.hidden, dtype, size=Size(token=size) if each else Size(position=size)))
        summed = add(tape, total, tables[-1], ROW)
        total = summed if total is tokens else letting_go(tape, total, summed)
    if form.leaf and not form.tables:
        total = tape.new(ROW, form.hidden, dtype, grad=grad)
    if form.kept:
        tape.save(total)
    result = total
    if form.norm is not None:
        result = normalise(tape, total, form.norm)
        if total is not tokens:
            tape.drop(total)
    if form.masked:
        result = letting_go(tape, result, scale(tape, result, ROW))
    result = letting_go(tape, result, drop_out(tape, result, ROW)) if form.dropout else result
    if not form.names:
        tape.drop(tokens, *tables)
    return result if form.project is None else letting_go(tape, result, linear(tape, result, form.project, ROW))
