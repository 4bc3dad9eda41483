"""AutoAWQ's fused block, operation by operation (autoawq 0.1.4 to 0.1.6, awq/modules/fused/*.py).

It allocates its cache when it is made, attends eagerly over a prompt and by a kernel of FasterTransformer over one
token, and holds attention's result to the end of the block.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES
from toolkit.memory.formula.caches.cached import READS
from toolkit.memory.formula.feed_forward import ROW as FED
from toolkit.memory.formula.linear.packed_weights import AWQ_PARTS, PARTIAL
from toolkit.memory.formula.norms import ROW as NORMED
from toolkit.memory.formula.operations import activate, add, cast, letting_go, multiply, scale
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROTARY = "rotary_states"
RESIDUAL = "residual_stream"
HALF = "fp16"


@frozen
class FusedForm:
    """A block. `inner` is the width of its feed-forward; `by_vectors` says that the kernel is GEMV.

    GEMV does not split a product into parts for gate and up, nor in a pass of a few rows.
    """

    hidden: int
    query_heads: int
    key_value_heads: int
    head_dim: int
    inner: int
    by_vectors: bool = False

    @property
    def queries(self) -> int:
        """The width of the queries."""
        return self.query_heads * self.head_dim

    @property
    def keys(self) -> int:
        """The width of the keys."""
        return self.key_value_heads * self.head_dim


def fused_block(tape: Tape, x: Buffer, form: FusedForm) -> Buffer:
    """X + attention(norm(x)) = y, then y + feed_forward(norm(y)); the caller keeps `x`."""
    normed = tape.new(NORMED, form.hidden, HALF)
    attended, result = _attend(tape, form)
    middle = add(tape, x, result, RESIDUAL)
    inner = tape.new(NORMED, form.hidden, HALF)
    fed = _feed(tape, inner, form)
    tape.drop(inner)
    total = add(tape, middle, fed, RESIDUAL)
    tape.drop(fed, middle, result, attended, normed)
    return total


def _attend(tape: Tape, form: FusedForm) -> tuple[Buffer, Buffer]:
    """Attention's result, to which the block refers, and its output projection."""
    width = form.queries + 2 * form.keys
    whole = _product(tape, width, STATES, parts=_parts(tape, form))
    if tape.cache == READS:
        attended = tape.new(OUTPUT, form.queries, HALF)
        held: tuple[Buffer, ...] = ()
    else:
        attended, held = _over_prompt(tape, form)
    result = _product(tape, form.hidden, OUTPUT, parts=_parts(tape, form))
    tape.drop(whole, *held)
    return attended, result


def _over_prompt(tape: Tape, form: FusedForm) -> tuple[Buffer, tuple[Buffer, ...]]:
    """Eager attention, whose tensors all stay named to its end: keys and values are copied for every query head."""
    query, key = _turned(tape, form)
    stored = tape.new(STATES, form.keys, HALF)  # keys in the order of the cache, which they are then copied to
    keys, values = (tape.new(STATES, form.queries, HALF) for _ in range(2))
    pairs = Size(pair=form.query_heads * BYTES[HALF])
    scores = tape.new(SCORES, 0, HALF, size=pairs)
    for _ in ("divided", "masked"):
        scores = letting_go(tape, scores, scale(tape, scores, SCORES))
    wide = cast(tape, scores, "fp32", SCORES)
    softmax = letting_go(tape, wide, scale(tape, wide, SCORES))
    scores = letting_go(tape, scores, cast(tape, softmax, HALF, SCORES))
    tape.drop(softmax)
    mixed = tape.new(OUTPUT, form.queries, HALF)
    attended = tape.new(OUTPUT, form.queries, HALF)
    return attended, (query, key, stored, keys, values, scores, mixed)


def _turned(tape: Tape, form: FusedForm) -> tuple[Buffer, Buffer]:
    """RoPE.forward: complex copies of both, each multiplied, viewed as real numbers, and cast back at the end."""
    complexes = [_as_complex(tape, width) for width in (form.queries, form.keys)]
    reals = []
    for one in complexes:
        product = scale(tape, one, ROTARY)
        reals.append(scale(tape, product, ROTARY))
        tape.drop(product)
    query, key = (cast(tape, one, HALF, STATES) for one in reals)
    tape.drop(*complexes, *reals)
    return query, key


def _as_complex(tape: Tape, width: int) -> Buffer:
    """A float32 copy, and one in which the two halves are interleaved."""
    wide = tape.new(ROTARY, width, "fp32")
    return letting_go(tape, wide, scale(tape, wide, ROTARY))


def _feed(tape: Tape, x: Buffer, form: FusedForm) -> Buffer:
    """down(silu(gate(x)) * up(x)); gate and up stay named to the end."""
    gate, up = (_product(tape, form.inner, FED, parts=not form.by_vectors) for _ in ("gate", "up"))
    active = activate(tape, gate, FED)
    inner = letting_go(tape, active, multiply(tape, active, up, FED))
    result = _product(tape, x.width, FED, parts=_parts(tape, form))
    tape.drop(inner, gate, up)
    return result


def _parts(tape: Tape, form: FusedForm) -> bool:
    """Whether a product is computed in parts; GEMV does not for one token, which has few rows."""
    return not form.by_vectors or tape.cache != READS


def _product(tape: Tape, outputs: int, row: str, *, parts: bool) -> Buffer:
    """A product with packed weights, without bias; without `parts` it allocates only its result."""
    if not parts:
        return tape.new(row, outputs, HALF)
    with tape.temporary(PARTIAL, Size(token=AWQ_PARTS * outputs * BYTES[HALF])):
        return tape.new(row, outputs, HALF)
