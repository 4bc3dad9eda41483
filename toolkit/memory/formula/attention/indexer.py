"""The indexer of DeepSeek V3.2, which chooses the tokens that each token attends to: how it runs without gradients.

Source: transformers 5.23 modeling_deepseek_v32.py, DeepseekV32Indexer.forward and DeepseekV32Attention.forward.
torch.matmul spreads the keys of all tokens out for each query, in a copy where there are several sequences
(aten/src/ATen/native/LinearAlgebra.cpp, _matmul_impl). Scores are those of heads x pairs in float32.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention_form import SCORES, STATES
from toolkit.memory.formula.caches.cached import COPIES, READS
from toolkit.memory.formula.caches.cached import ROW as CACHE
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import cast, letting_go
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

FLOAT, INDEX, SHORT_INDEX, BOOL = BYTES["fp32"], BYTES["int64"], BYTES["int32"], BYTES["bool"]


@frozen
class IndexForm:
    """An indexer: so many heads of a width choose so many tokens, or all, where a prompt has no more."""

    heads: int
    width: int
    chosen: int
    query: LinearForm
    key: LinearForm
    weights: LinearForm
    norm: NormForm
    all: bool  # a prompt has no more tokens than are chosen
    several: bool  # sequences
    mask: str  # the dtype of the attention mask
    earlier: bool = False  # the choice of the layer before has a name meanwhile (GLM 5)

    @property
    def choices(self) -> Size:
        """As many numbers for each token as are chosen."""
        return Size(pair=1) if self.all else Size(token=self.chosen)


def masked_by_choice(tape: Tape, x: Buffer, latent: Buffer, form: IndexForm) -> tuple[Buffer, ...]:
    """The chosen tokens of each, and the masks that leave out all others, which names hold until attention is done."""
    if form.earlier:
        tape.bound.append(tape.new(SCORES, 0, "int32", size=form.choices.times(SHORT_INDEX)))
    chosen = _chosen(tape, x, latent, form)
    ones = tape.new(SCORES, 0, "bool", size=Size(pair=BOOL))
    with tape.temporary(SCORES, form.choices.times(INDEX)):
        left_out = tape.new(SCORES, 0, "bool", size=Size(pair=BOOL))
    tape.drop(ones)
    floats = form.mask != "bool"
    with tape.temporary(SCORES, Size() if floats else Size(pair=BOOL)):
        mask = tape.new(SCORES, 0, form.mask, size=Size(pair=BYTES[form.mask]))
    return chosen, left_out, mask


def _chosen(tape: Tape, x: Buffer, latent: Buffer, form: IndexForm) -> Buffer:
    plain = linear(tape, latent, form.query, STATES)
    narrow = linear(tape, x, form.key, STATES)
    plain_key = letting_go(tape, narrow, normalise(tape, narrow, form.norm))
    query = tape.new(STATES, form.heads * form.width, x.dtype)
    key = tape.new(STATES, form.width, x.dtype)
    key = _kept(tape, key, form)
    wide = cast(tape, query, "fp32", SCORES)
    floats = tape.new(SCORES, 0, "fp32", size=_of_keys(tape, form, FLOAT))
    with tape.temporary(SCORES, Size(pair=form.width * FLOAT) if form.several and tape.cache != READS else Size()):
        scores = _pairs(tape, form)
    tape.drop(floats, *(() if wide is query else (wide,)))
    scaled = letting_go(tape, scores, _pairs(tape, form))
    rectified = letting_go(tape, scaled, _pairs(tape, form))
    weights = linear(tape, x, form.weights, SCORES)
    index = tape.new(SCORES, 0, "fp32", size=Size(pair=FLOAT))
    with tape.temporary(SCORES, Size(pair=BOOL)):
        filled = letting_go(tape, index, tape.new(SCORES, 0, "fp32", size=Size(pair=FLOAT)))
    with tape.temporary(SCORES, form.choices.times(FLOAT)):
        best = tape.new(SCORES, 0, "int64", size=form.choices.times(INDEX))
    result = tape.new(SCORES, 0, "int32", size=form.choices.times(SHORT_INDEX))
    tape.drop(best, filled, weights, rectified, query, key, plain, plain_key)
    return result


def _pairs(tape: Tape, form: IndexForm) -> Buffer:
    return tape.new(SCORES, 0, "fp32", size=Size(pair=form.heads * FLOAT))


def _of_keys(tape: Tape, form: IndexForm, each: int) -> Size:
    """The keys of all tokens: while a cache is read, of those that it has."""
    return Size(pair=form.width * each) if tape.cache == READS else Size(token=form.width * each)


def _kept(tape: Tape, key: Buffer, form: IndexForm) -> Buffer:
    """The keys in the cache, which are all that the code goes on with."""
    if tape.cache != COPIES:
        return key
    kept = tape.new(CACHE, form.width, key.dtype)
    kept.references += 1  # the cache's own
    return letting_go(tape, key, kept)
