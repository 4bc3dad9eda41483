"""The first DeBERTa's attention: one product makes queries, keys and values, and each layer projects the positions.

H = hidden width, S = sequence. Source: transformers 5.23 modeling_deberta.py, DisentangledSelfAttention.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES
from toolkit.memory.formula.attention.disentangled import (
    MASK,
    POSITIONS,
    PositionsForm,
    added_score,
    gathered_scores,
    masked_scores,
    position_table,
    whole_score,
)
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import (
    Given,
    add,
    contract,
    drop_out,
    headed,
    letting_go,
    scale,
    scale_in_place,
    split,
    transposed,
    wider,
)
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class JoinedForm:
    """Attention of `heads` heads over `width`, of which `joined` makes queries, keys and values side by side.

    Queries and values get biases of a dtype of their own, which are trained or not. Of the table of positions only
    those within the sequence attend, which are all of them unless `cut`; `dropout` is that of the probabilities.
    """

    heads: int
    width: int
    joined: LinearForm
    positions: PositionsForm
    biases: str
    trains: bool = False
    cut: bool = False
    dropout: bool = False


def attend_jointly(tape: Tape, x: Buffer, form: JoinedForm) -> Buffer:
    """The heads' values side by side, before the output projection; the caller keeps `x`.

    Its code holds the product, queries and values with their biases, masked scores and probabilities to its end.
    """
    joined = linear(tape, x, form.joined, STATES)
    query, key, value = split(tape, _seen(tape, joined), (form.width,) * 3)
    query, value = _biased(tape, query, form), _biased(tape, value, form)
    query = letting_go(tape, query, scale(tape, query, STATES))
    contents = _product(tape, query, key, form)
    table = position_table(tape, form.positions)
    related, whole = _related(tape, query, key, table, form)
    total = letting_go(tape, contents, add(tape, contents, related, SCORES))
    seen = tape.new(MASK, 0, "bool", size=Size(pair=BYTES["bool"]))
    masked = letting_go(tape, total, masked_scores(tape, total))
    weights = _softmax(tape, masked)
    weights = letting_go(tape, weights, drop_out(tape, weights, SCORES)) if form.dropout else weights
    values = transposed(tape, value)
    mixed = contract(tape, weights, values, OUTPUT, form.width, values.size)
    tape.drop(values)
    result = letting_go(tape, mixed, headed(tape, mixed))
    tape.drop(whole, seen, masked, weights, table, query, value, joined)
    return result


def _seen(tape: Tape, x: Buffer) -> Buffer:
    """A tensor with its heads first: a view, whose gradient is copied back into the order of the tensor."""
    view = Buffer(x.row, x.size, x.width, x.dtype, x.grad, held=False, counted=False, base=x.base or x)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(view, backward)


def _biased(tape: Tape, x: Buffer, form: JoinedForm) -> Buffer:
    """`x + bias`, whose gradient is summed over the tokens."""
    dtype = wider(x.dtype, form.biases)
    needs = x.grad or form.trains
    result = tape.new(STATES, x.width, dtype, grad=needs, size=Size(token=x.width * BYTES[dtype]))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        if form.trains:
            tape.summed(form.width)
        return [(x, tape.share(gradient, x))] if x.grad else []

    return tape.node(result, backward)


def _product(tape: Tape, query: Buffer, key: Buffer, form: JoinedForm) -> Buffer:
    """The scores of contents: the product copies queries and keys, whose heads do not lie together, and saves them."""
    left, right = transposed(tape, query), transposed(tape, key)
    scores = contract(tape, left, right, SCORES, 0, Size(pair=form.heads * BYTES[query.dtype]))
    tape.drop(left, right)
    return scores


def _related(tape: Tape, query: Buffer, key: Buffer, table: Buffer, form: JoinedForm) -> tuple[Buffer, Buffer]:
    """The scores of contents with positions, the second term added in place; and the tensor that they are in."""
    rows = _reached(tape, table, form)
    held: list[Buffer] = []
    parts: list[Buffer] = []
    linears = {"c2p": (query, form.positions.key), "p2c": (key, form.positions.query)}
    for term in form.positions.terms:
        states, projection = linears[term]
        assert projection is not None
        projected = linear(tape, rows, projection, POSITIONS)
        scaled = scale_in_place(tape, projected) if term == "p2c" else projected
        repeated, copy = _repeated(tape, _seen(tape, scaled)), transposed(tape, states)
        part, index = gathered_scores(tape, copy, repeated, form.positions, _row(form), copies=True)
        parts.append(added_score(tape, parts[0], part) if parts else whole_score(tape, part))
        held += [part, index, projected]
    tape.drop(*held)
    return parts[-1], parts[0]


def _row(form: JoinedForm) -> Size:
    """Scores of every token with all positions that are reached: twice those of the sequence, or all rows."""
    each = form.heads * BYTES[form.positions.dtype]
    return Size(pair=2 * each) if form.cut else Size(token=form.positions.rows * each)


def _reached(tape: Tape, table: Buffer, form: JoinedForm) -> Buffer:
    """The rows within the sequence: a view, whose gradient is put into zeros of the size of the table."""
    each = form.positions.width * BYTES[table.dtype]
    size = Size(position=2 * each) if form.cut else table.size
    view = Buffer(
        table.row, size, table.width, table.dtype, table.grad, held=False, counted=False, base=table.base or table
    )

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(table, tape.gradient(table))]

    return tape.node(view, backward)


def _repeated(tape: Tape, x: Buffer) -> Buffer:
    """Rows of positions once for each sequence, as a product over the batch copies them."""
    size = Size(token=x.size.position, sequence=x.size.fixed)
    result = tape.new(POSITIONS, x.width, x.dtype, grad=x.grad, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def _softmax(tape: Tape, scores: Buffer) -> Buffer:
    """Softmax in the dtype of the scores, which saves its result."""
    result = tape.new(SCORES, 0, scores.dtype, grad=scores.grad, size=scores.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(scores, tape.gradient(scores))]

    return tape.node(result, backward, tape.save(result) if scores.grad else ())
