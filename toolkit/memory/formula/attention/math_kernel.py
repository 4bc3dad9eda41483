"""Torch's own operations in the place of a kernel, which sdpa falls back to in inference where none takes its states.

torch has no flash kernel on Windows (CMakeLists.txt, USE_FLASH_ATTENTION: NOT MSVC), and its memory-efficient one took
no grouped heads until 2.13 (pull request 191085; sdp_utils.cpp). Source: aten/src/ATen/native/transformers/
attention.cpp, _scaled_dot_product_attention_math since 2.5, which works in float32; _safe_softmax, which has a mask of
the scores beside them and their softmax.
"""

from __future__ import annotations

from toolkit.memory.formula.attention.attention_form import OUTPUT, SCORES, STATES, AttentionForm
from toolkit.memory.formula.attention.repeated import repeated
from toolkit.memory.formula.caches.cached import LAID_OUT, READS
from toolkit.memory.formula.operations import cast, contract, letting_go, resized, scale, transposed
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

WIDE = "fp32"


def in_float32(tape: Tape, query: Buffer, key: Buffer, value: Buffer, form: AttentionForm) -> Buffer:
    """Sdpa without a mask as written out: float32 states, scores, probabilities, and a boolean of every score.

    Beside its result it gives the probabilities as narrow as the states, first. Without gradients.
    Raises UnsupportedRow where all that a cache has is not what a token attends to.
    """
    if form.window is not None:
        raise UnsupportedRow(SCORES, "no formula for sdpa's math kernel with a window yet")
    states = cast(tape, query, WIDE, STATES), *(_of_all_keys(tape, part) for part in (key, value))
    first = scale(tape, states[0], STATES)
    bias = None if tape.cache == READS or not form.causal else causal_bias(tape)
    keys, values = (repeated(tape, part, form) for part in states[1:])
    second, lie = scale(tape, keys, STATES), _lie(tape, form)
    factors = _laid_out(tape, first, lies=form.heads_first), _laid_out(tape, second, lies=form.heads_first or lie)
    scores = contract(tape, *factors, SCORES, 0, Size(pair=form.query_heads * BYTES[WIDE]))
    tape.drop(second, *(part for part, own in zip(factors, (first, second), strict=True) if part is not own))
    probabilities = tape.new(SCORES, 0, WIDE, size=scores.size)
    with tape.temporary(SCORES, Size(pair=form.query_heads * BYTES["bool"])):
        pass
    tape.drop(scores)
    narrow = cast(tape, probabilities, query.dtype, SCORES)
    width = form.query_heads * form.value_head_dim
    inner = _laid_out(tape, values, lies=lie)
    mixed = contract(tape, probabilities, inner, OUTPUT, width, Size(token=width * BYTES[WIDE]))
    tape.drop(*([] if inner is values else [inner]))
    mixed = letting_go(tape, mixed, cast(tape, mixed, query.dtype, OUTPUT))
    tape.drop(probabilities, *([narrow] if narrow is not probabilities else []))
    tape.drop(first, *([bias] if bias is not None else []))
    for part, original in zip((keys, values), states[1:], strict=True):
        if part is not original:
            tape.drop(part)
    for part, original in zip(states, (query, key, value), strict=True):
        if part is not original:
            tape.drop(part)
    return letting_go(tape, mixed, transposed(tape, mixed))


def _lie(tape: Tape, form: AttentionForm) -> bool:
    """Whether keys and values lie in memory with their heads first: as a cache has laid them, or repeated for each."""
    return form.shapes or form.is_grouped or (tape.cache in LAID_OUT and not form.expanded)


def _laid_out(tape: Tape, x: Buffer, *, lies: bool) -> Buffer:
    """A factor as torch.matmul folds it into its batch: a contiguous copy, unless it lies so."""
    return x if lies else transposed(tape, x)


def _of_all_keys(tape: Tape, x: Buffer) -> Buffer:
    """Keys or values in float32; while a cache is read, of all that it has."""
    if x.dtype == WIDE:
        return x
    size = Size(pair=x.width * BYTES[WIDE]) if tape.cache == READS else resized(x, WIDE)
    return tape.new(STATES, x.width, WIDE, size=size)


def causal_bias(tape: Tape) -> Buffer:
    """Ones, their lower triangle, and what is added for each pair of one sequence (convert_boolean_attn_mask)."""
    with tape.temporary(SCORES, Size(square=2 * BYTES["bool"])):
        pass
    return tape.new(SCORES, 0, WIDE, size=Size(square=BYTES[WIDE]))
