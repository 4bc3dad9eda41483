"""Losses that never form all logits: TRL's chunked_nll, and Liger's fused linear cross-entropy."""

from __future__ import annotations

from contextlib import ExitStack

from toolkit.frozen import frozen
from toolkit.memory.formula.ends.logits import FLOAT, GRADIENT, LABELS, LOGITS, PROBABILITIES, HeadForm
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import Given, part_of
from toolkit.memory.libraries.losses import ADDS_IN_PLACE, SHORT
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import GRADIENTS, NEW_GRADIENT
from toolkit.memory.tape.tape import Tape

HIDDEN = "loss_hidden_states"
WEIGHT = "loss_weight_copy"

CHUNK_TOKENS = 256
"""Tokens per chunk of logits in chunked_nll (trl/trainer/sft_trainer.py, since 1.4)."""


def fused_chunk(tokens: int, hidden: int, vocabulary: int) -> int:
    """Tokens in one of Liger's chunks: a power of two, chosen so that a chunk's logits are about as large as its input.

    Source: liger_kernel/ops/fused_linear_cross_entropy.py.
    """
    pieces = -(-vocabulary // hidden)
    return 1 << (max(-(-tokens // pieces), 1) - 1).bit_length()


@frozen
class ChunkedProduct:
    """A chunk's product with the output weight: the dtype to which both are cast first, and that of the product.

    Until 1.12 both were cast to float32, and autocast cast these to the dtype of the logits; since 1.13 the weight is
    cast to the hidden states' dtype, and the logits to float32 (trl/trainer/sft_trainer.py, _chunk).
    """

    projection: LinearForm
    first: str
    product: str
    logits: str

    @property
    def made(self) -> Size:
        """Copies of the weight while a chunk is multiplied."""
        return self._weight((self.first != self._own, self.first), (self.product != self.first, self.product))

    @property
    def saved(self) -> Size:
        """The copy of the weight that backward uses: the last that was made."""
        copied = self.product != self.first or self.first != self._own
        return self._weight((copied, self.product))

    @property
    def gradient(self) -> Size:
        """The weight's gradient from a chunk, and where autocast made a copy, the gradient of its original."""
        return self._weight((True, self.product), (self.product != self.first, self.first))

    def entries(self, wide: int) -> Size:
        """The logits of a chunk, and `wide` float32 tensors of their size."""
        return Size(chunk=self.projection.outputs * (BYTES[self.logits] + wide * BYTES["fp32"]))

    @property
    def gradients(self) -> Size:
        """Two gradients of a chunk's log-probabilities, in float32."""
        return Size(chunk=2 * self.projection.outputs * BYTES["fp32"])

    @property
    def _own(self) -> str:
        return self.projection.dtype

    def _weight(self, *copies: tuple[bool, str]) -> Size:
        return Size(fixed=sum(self.projection.elements * BYTES[dtype] for taken, dtype in copies if taken))


def chunked_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """chunked_nll of TRL 1.4 to 1.14: the logits of one chunk at a time, checkpointed; see ChunkedProduct."""
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    order = tape.new(LABELS, 2, "int64")
    gathered = tape.new(HIDDEN, normed.width, normed.dtype, grad=True)
    chunk = _chunk_of(form, normed.dtype)

    def scatter(tape: Tape, _: Buffer) -> Given:
        return [(normed, tape.gradient(normed))]

    tape.node(gathered, scatter, tape.save(order))
    with tape.temporary(WEIGHT, chunk.made), tape.temporary(LOGITS, chunk.entries(0)):
        tape.multiplied()
    with tape.temporary(FLOAT, chunk.entries(3)):  # logits, log-softmax, its exponential, the product for the entropy
        result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        given = tape.gradient(gathered)
        _chunk_backward(tape, gathered, chunk)
        return [(gathered, given)]

    tape.node(result, backward, tape.save(gathered))
    tape.drop(normed, gathered, order)
    return result


def _chunk_of(form: HeadForm, hidden: str) -> ChunkedProduct:
    first = hidden if form.loss == SHORT else "fp32"
    product = form.projection.autocast or first
    return ChunkedProduct(form.projection, first, product, "fp32" if form.loss == SHORT else product)


def _chunk_backward(tape: Tape, gathered: Buffer, chunk: ChunkedProduct) -> None:
    """A chunk's recomputation and backward: its saved tensors, two gradients of its logits, the weight's, a slice's."""
    projection = chunk.projection
    with ExitStack() as alive:
        if chunk.product != gathered.dtype:
            alive.enter_context(tape.temporary(HIDDEN, Size(chunk=projection.inputs * BYTES[chunk.product])))
        with tape.temporary(WEIGHT, chunk.made), tape.temporary(LOGITS, chunk.entries(0)):
            tape.multiplied()
        alive.enter_context(tape.temporary(WEIGHT, chunk.saved))
        with tape.temporary(PROBABILITIES, chunk.entries(1)), tape.temporary(GRADIENT, chunk.gradients):
            pass
        if projection.trains:
            with tape.temporary(GRADIENT, chunk.entries(0)):
                _weight_gradient(tape, chunk)
    with tape.temporary(
        "activation_gradients", gathered.size
    ):  # each chunk's gradient is put into a tensor of all tokens
        pass


def _weight_gradient(tape: Tape, chunk: ChunkedProduct) -> None:
    """The gradient of the weight from one chunk, beside the sum from the chunks before."""
    projection = chunk.projection
    kept = Size(fixed=projection.elements * BYTES[projection.gradient])
    tape.fresh(NEW_GRADIENT if tape.accumulates else GRADIENTS, kept, projection.gradient)
    with tape.temporary(NEW_GRADIENT, chunk.gradient):
        pass


def fused_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Liger: the forward pass already makes the gradients of hidden states and weight, one chunk of logits at a time.

    Since 0.6.2 a chunk's part of the weight's gradient is cast to float32 before it is added; before, it was not.
    """
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    projection = form.projection
    given = tape.new(HIDDEN, normed.width, normed.dtype)
    saved = [given]
    if projection.trains:
        own = Size(fixed=projection.elements * BYTES[projection.gradient])
        saved.append(tape.new(NEW_GRADIENT if tape.accumulates else GRADIENTS, 0, projection.gradient, size=own))
    _fused_chunks(tape, projection, adds_in_place=form.loss == ADDS_IN_PLACE)
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        given.references += 1
        for weight in saved[1:]:
            weight.references += 0 if tape.accumulates else 1
        return [(normed, given)]

    tape.node(result, backward, tape.save(*saved))
    tape.drop(normed, *saved)
    return result


def _fused_chunks(tape: Tape, projection: LinearForm, *, adds_in_place: bool) -> None:
    """Two chunks; the second is like all later ones: the previous logits stay referenced until its own are made.

    Source: liger_kernel/ops/fused_linear_cross_entropy.py, fused_linear_cross_entropy_forward.
    """
    dtype = projection.autocast or projection.dtype
    logits: list[Buffer] = []
    for _ in range(2):
        logits.append(tape.new(LOGITS, 0, dtype, size=Size(chunk=projection.outputs * BYTES[dtype])))
        tape.multiplied()
        tape.drop(*logits[:-1])
        del logits[:-1]
        with tape.temporary("activation_gradients", Size(chunk=projection.inputs * BYTES[dtype])):
            pass
        if not projection.trains or adds_in_place:
            continue
        made = tape.new(NEW_GRADIENT, 0, dtype, size=Size(fixed=projection.elements * BYTES[dtype]))
        if dtype == "fp32":
            tape.drop(made)
            continue
        wide = tape.new(NEW_GRADIENT, 0, "fp32", size=Size(fixed=projection.elements * BYTES["fp32"]))
        tape.drop(made)
        tape.drop(wide)
    tape.drop(*logits)


def fused_wide_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Liger before 0.5, on all hidden states but the last: a chunk's logits are cast to float32 and back.

    The previous chunk's gradient is still referenced meanwhile. The weight's gradient is summed in place.
    """
    normed = normalise(tape, x, form.norm)
    tape.drop(x)
    projection = form.projection
    source = part_of(tape, normed, normed.width, copies=form.shifts == "copies") if form.shifts else normed
    given = tape.new(HIDDEN, normed.width, normed.dtype, size=normed.size)
    saved = [given]
    if projection.trains:
        own = Size(fixed=projection.elements * BYTES[projection.gradient])
        saved.append(tape.new(NEW_GRADIENT if tape.accumulates else GRADIENTS, 0, projection.gradient, size=own))
    widths = BYTES["fp32"] + 2 * BYTES[projection.autocast or projection.dtype]
    with tape.temporary(LOGITS, Size(chunk=projection.outputs * widths)):
        pass
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        given.references += 1
        for weight in saved[1:]:
            weight.references += 0 if tape.accumulates else 1
        return [(source, given)]

    tape.node(result, backward, tape.save(*saved))
    tape.drop(normed, source, *saved)
    return result
