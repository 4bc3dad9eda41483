"""DeBERTa's scores between contents and relative positions. H = hidden width, R = rows of relative positions.

Source: transformers 5.23 modeling_deberta_v2.py, DisentangledSelfAttention.disentangled_attention_bias.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import SCORES
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, cast, contract, drop_out, headed, letting_go, scale
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

POSITIONS = "relative_positions"
MASK = "attention_mask"


@frozen
class PositionsForm:
    """The relative positions that all layers attend to: a table of `rows` x the hidden width, of one dtype.

    `key` and `query` are the linears that project the table: both, and those of the contents, where these are shared;
    else only those of the `terms`, which are c2p (contents to positions) and p2c (positions to contents).
    """

    rows: int
    width: int
    heads: int
    dtype: str
    grad: bool
    terms: tuple[str, ...]
    key: LinearForm | None
    query: LinearForm | None
    shared: bool
    dropout: bool
    autocast: str | None = None


def product_in(tape: Tape, x: Buffer, y: Buffer, dtype: str, row: str, width: int, size: Size) -> Buffer:
    """`torch.bmm(x, y)` in a dtype, to which autocast casts both for every product."""
    left, right = cast(tape, x, dtype, x.row), cast(tape, y, dtype, y.row)
    result = contract(tape, left, right, row, width, size)
    tape.drop(*(inner for inner, part in ((left, x), (right, y)) if inner is not part))
    return result


def table_size(rows: int, width: int, dtype: str) -> Size:
    """The bytes of a table of relative positions."""
    return Size(fixed=rows * width * BYTES[dtype])


def position_table(tape: Tape, form: PositionsForm) -> Buffer:
    """The table after dropout. The model holds the table itself for all layers."""
    size = table_size(form.rows, form.width, form.dtype)
    table = Buffer(POSITIONS, size, form.width, form.dtype, form.grad, held=False, counted=False)
    return drop_out(tape, table, POSITIONS) if form.dropout else table


def position_scores(
    tape: Tape, query: Buffer, key: Buffer, table: Buffer, form: PositionsForm
) -> tuple[Buffer, Buffer]:
    """The scores of both terms, the second one added in place, and the tensor that holds them."""
    of_query, of_key = _tables(tape, table, form)
    held = [part for part in (of_query, of_key) if part is not None]
    parts: list[Buffer] = []
    for term, states, positions in (("c2p", query, of_key), ("p2c", key, of_query)):
        if term not in form.terms or positions is None:
            continue
        row = Size(token=form.heads * form.rows * BYTES[form.autocast or states.dtype])
        gathered, index = gathered_scores(tape, states, positions, form, row)
        part = scale(tape, gathered, SCORES)
        parts.append(added_score(tape, parts[0], part) if parts else whole_score(tape, part))
        tape.drop(part)
        held += [gathered, index]
    tape.drop(*held)
    return parts[-1], parts[0]


def _tables(tape: Tape, table: Buffer, form: PositionsForm) -> tuple[Buffer | None, Buffer | None]:
    """The table as queries and as keys, each repeated for every sequence, in the order in which they are made."""
    if form.shared:
        of_query = _repeated(tape, table, form.query)
        return of_query, _repeated(tape, table, form.key)
    of_key = _repeated(tape, table, form.key)
    return _repeated(tape, table, form.query), of_key


def _repeated(tape: Tape, table: Buffer, form: LinearForm | None) -> Buffer | None:
    """The projected table with its heads first, once for each sequence of the batch."""
    if form is None:
        return None
    projected = linear(tape, table, form, POSITIONS)
    single = letting_go(tape, projected, headed(tape, projected))
    result = tape.new(POSITIONS, single.width, single.dtype, grad=single.grad, size=Size(sequence=single.size.fixed))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(single, tape.gradient(single))]

    tape.node(result, backward)
    tape.drop(single)
    return result


def gathered_scores(
    tape: Tape, states: Buffer, positions: Buffer, form: PositionsForm, row: Size, *, copies: bool = False
) -> tuple[Buffer, Buffer]:
    """Scores with all positions, of the size `row`, from which each pair gathers its own; and the index of these.

    Where both operands are `copies` made for the product, they are freed with it.

    Gather saves both. Its backward fills zeros of their size in place (torch FunctionsManual.cpp, gather_backward).
    """
    span = Size(square=BYTES["int64"])
    index = tape.new(POSITIONS, 0, "int64", size=span)
    with tape.temporary(POSITIONS, span):
        pass
    scores = product_in(tape, states, positions, form.autocast or states.dtype, SCORES, form.heads * form.rows, row)
    if copies:
        tape.drop(states, positions)
    saved = tape.save(scores, index) if scores.grad else ()
    result = tape.new(SCORES, 0, scores.dtype, grad=scores.grad, size=Size(pair=form.heads * BYTES[scores.dtype]))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(scores, tape.gradient(scores))]

    tape.node(result, backward, saved)
    tape.drop(scores)
    return result, index


def whole_score(tape: Tape, part: Buffer) -> Buffer:
    """`0 + part`: a new tensor."""
    result = tape.new(SCORES, 0, part.dtype, grad=part.grad, size=part.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(part, tape.share(gradient, part))]

    return tape.node(result, backward)


def added_score(tape: Tape, score: Buffer, part: Buffer) -> Buffer:
    """`score += part`: in place, one gradient for both."""
    result = Buffer(score.row, score.size, 0, score.dtype, score.grad, held=False, counted=False, base=score)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x)) for x in (score, part) if x.grad]

    return tape.node(result, backward)


def masked_scores(tape: Tape, scores: Buffer) -> Buffer:
    """masked_fill with the inverted mask of each sequence, which is saved."""
    mask = tape.new(MASK, 0, "bool", size=Size(pair=BYTES["bool"]))
    result = tape.new(SCORES, 0, scores.dtype, grad=scores.grad, size=scores.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(scores, tape.gradient(scores))]

    tape.node(result, backward, tape.save(mask) if scores.grad else ())
    tape.drop(mask)
    return result
