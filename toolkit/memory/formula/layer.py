"""One decoder layer: norms, attention and feed-forward around the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.formula.attention import AttentionForm, attend
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.mixture import MixtureForm, mixture
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add, letting_go
from toolkit.memory.tape import Buffer, Tape

RESIDUAL = "residual_stream"


@dataclass(frozen=True, slots=True)
class LayerForm:
    """A decoder layer. `after` are norms on the results of attention and feed-forward (Gemma 2 and 3)."""

    hidden: int
    attention: AttentionForm
    feed_forward: FeedForwardForm | MixtureForm
    norm: NormForm
    after: bool = False
    parallel: bool = False


def layer(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    if form.parallel:
        return _parallel(tape, x, form)
    normed = normalise(tape, x, form.norm)
    attended = attend(tape, normed, form.attention)
    tape.drop(normed)
    middle = _joined(tape, x, attended, form)
    normed = normalise(tape, middle, form.norm)
    fed = _feed(tape, normed, form)
    tape.drop(normed)
    result = _joined(tape, middle, fed, form)
    tape.drop(middle)
    return result


def _feed(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    part = form.feed_forward
    return mixture(tape, x, part) if isinstance(part, MixtureForm) else feed_forward(tape, x, part)


def _joined(tape: Tape, residual: Buffer, branch: Buffer, form: LayerForm) -> Buffer:
    if form.after:
        branch = letting_go(tape, branch, normalise(tape, branch, form.norm))
    total = add(tape, residual, branch, RESIDUAL)
    tape.drop(branch)
    return total


def _parallel(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    """X + attention(norm(x)) + feed_forward(norm(x))."""
    normed = normalise(tape, x, form.norm)
    attended = attend(tape, normed, form.attention)
    fed = _feed(tape, normed, form)
    tape.drop(normed)
    branches = add(tape, attended, fed, RESIDUAL)
    tape.drop(attended, fed)
    total = add(tape, branches, x, RESIDUAL)
    tape.drop(branches)
    return total
