"""Losses on pairs of answers without a reference: log-probabilities of all logits, as the model gives them.

Source: trl/experimental/orpo/orpo_trainer.py and cpo/cpo_trainer.py, concatenated_forward and get_batch_logps;
trl/kernels/logprob_entropy.py; accelerate utils/operations.py, convert_outputs_to_fp32.
"""

from __future__ import annotations

from toolkit.memory.formula.ends.logits import (
    FLOAT,
    GRADIENT,
    LABELS,
    LOGITS,
    PROBABILITIES,
    HeadForm,
    before_logits,
    cross_entropy,
    formed,
)
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.operations import Given, cast, letting_go
from toolkit.memory.libraries.losses import BY_ROWS, PAIR_AND_TARGETS, PAIRS, PAIRS_AND_TARGETS, WHOLE_ANSWERS
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

NAMED = 4
"""Of every token: a logarithm, an entropy, a normaliser and an expected logit, in float32."""
KEPT = 2
"""Of these, what backward asks for: the normaliser and the expected logit."""


AT_ONCE = 128
"""Tokens whose entropy is worked out at a time (trl 1.8, trainer/utils.py, entropy_from_logits)."""
COPIES_TARGETS: dict[str, bool | None] = {PAIRS: None, PAIR_AND_TARGETS: False, PAIRS_AND_TARGETS: True}
"""Whether the logits of preferred answers are copied for their cross-entropy; None: it does not count."""
PAIRED_LOSSES = (*COPIES_TARGETS, *(name + BY_ROWS for name in COPIES_TARGETS), WHOLE_ANSWERS)


def paired_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """The logits of both answers, of the first the cross-entropy where that counts, and the labels' log-probabilities.

    One kernel gives log-probabilities of all rows, and backward their gradient; the logits stay for it.
    """
    normed = before_logits(tape, x, form)
    given = formed(tape, linear(tape, normed, form.projection, LOGITS), form)
    tape.drop(normed)
    logits = letting_go(tape, given, cast(tape, given, "fp32", FLOAT)) if form.widens else given
    labels = tape.new(LABELS, 1, "int64")
    copies = COPIES_TARGETS.get(form.loss.removesuffix(BY_ROWS))
    parts = [] if copies is None else [_targets(tape, logits, copies=copies)]
    taken = _row_by_row if form.loss.endswith(BY_ROWS) else _log_probabilities
    parts.append(taken(tape, logits, labels))
    if form.loss == WHOLE_ANSWERS:
        with tape.temporary(LOGITS, _measured(tape, logits)):
            pass
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(part, tape.gradient(part)) for part in parts]

    tape.node(result, backward)
    tape.drop(logits, labels, *parts)
    return result


def _measured(tape: Tape, logits: Buffer) -> Size:
    """What DPOTrainer's metrics take once all logits are there: a copy of those of the model that trains, by tokens.

    Of some of them at a time it has logarithms, probabilities and their product (entropy_from_logits). While the
    reference's logits are there, the model's own are too, and 16-bit ones nothing else keeps.
    """
    few = Size(fixed=3 * AT_ONCE * logits.width * BYTES[logits.dtype])
    own = logits.size.times(2 if logits.dtype != "fp32" and not tape.records else 1)
    return own.plus(few)


def _targets(tape: Tape, logits: Buffer, *, copies: bool) -> Buffer:
    """Cross-entropy of the answers that are preferred: half of the logits, all but the last of each row.

    Of one row that is a view, of several a copy; its gradient is put into zeros of these rows, and those into all.
    """
    half = Size(*[part // 2 for part in logits.size])
    first = _part(tape, logits, _view(logits, half))
    kept = tape.new(logits.row, logits.width, logits.dtype, grad=True, size=half) if copies else _view(logits, half)
    chosen = _part(tape, first, kept)
    result = cross_entropy(tape, chosen)
    tape.drop(chosen)
    return result


def _log_probabilities(tape: Tape, logits: Buffer, labels: Buffer) -> Buffer:
    """The logarithm of each label's probability, of all rows but the last: a view of the logits, and one kernel."""
    rows = _part(tape, logits, _view(logits, logits.size))
    made = tape.new(PROBABILITIES, NAMED - KEPT - 1, "fp32")
    kept = tape.new(PROBABILITIES, KEPT, "fp32")
    result = tape.new(PROBABILITIES, 1, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(rows, tape.gradient(rows))]

    tape.node(result, backward, tape.save(rows, labels, kept))
    tape.drop(made, kept)
    return result


def _row_by_row(tape: Tape, logits: Buffer, labels: Buffer) -> Buffer:
    """The same without a kernel (selective_log_softmax): of float32 logits less the logarithm of their sum.

    That is taken of one sequence after the other, and so is the log-softmax of 16-bit ones, which stays; backward puts
    the gradients of all sequences together, and those into zeros of all rows.
    """
    if logits.dtype != "fp32":
        return _softmax_by_rows(tape, logits, labels)
    one = Size(chunk=logits.width * BYTES[logits.dtype])
    rows = _part(tape, logits, _view(logits, logits.size))
    each = _part(tape, rows, _view(logits, logits.size), tape.save(rows))
    with tape.temporary(FLOAT, one):
        pass
    result = tape.new(PROBABILITIES, 1, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        given = tape.gradient(each)
        with tape.temporary(GRADIENT, one.times(2)):  # a difference and its exponential
            return [(each, given)]

    return tape.node(result, backward, tape.save(labels))


def _softmax_by_rows(tape: Tape, logits: Buffer, labels: Buffer) -> Buffer:
    """The log-softmax of each sequence, of which backward lets go before it has the gradients of all."""
    rows = _part(tape, logits, _view(logits, logits.size))
    each = _part(tape, rows, _view(logits, logits.size))
    kept = tape.new(PROBABILITIES, 0, logits.dtype, size=logits.size)
    done = _part(tape, each, Buffer(PROBABILITIES, Size(), 0, "fp32", grad=True, held=False, counted=False))
    result = tape.new(PROBABILITIES, 1, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(done, tape.gradient(done))]

    tape.node(result, backward, tape.save(labels, kept))
    tape.drop(kept)
    return result


def _part(tape: Tape, whole: Buffer, part: Buffer, saved: tuple[Buffer, ...] = ()) -> Buffer:
    """A part of a tensor: its gradient is put into zeros of the size of the whole."""

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(whole, tape.gradient(whole))]

    return tape.node(part, backward, saved)


def _view(logits: Buffer, size: Size) -> Buffer:
    return Buffer(
        logits.row, size, logits.width, logits.dtype, grad=True, held=False, counted=False, base=logits.base or logits
    )
