"""Gemma 4's experts beside a feed-forward: each is normed, and so is their sum.

Source: transformers 5.23 modeling_gemma4.py, Gemma4TextDecoderLayer.forward and Gemma4TextRouter.forward.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.experts.mixture import ROW, MixtureForm, run_experts
from toolkit.memory.formula.experts.router import FLOAT_SOFTMAX, ROUTER, routes
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.norms import NormForm, normalise, times_weight
from toolkit.memory.formula.operations import add, letting_go, scale, wider
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class BesideForm:
    """A feed-forward and a mixture side by side, each with a norm on its result; `bare` is the router's norm."""

    dense: FeedForwardForm
    mixture: MixtureForm
    norm: NormForm
    bare: NormForm


def feed_beside(tape: Tape, normed: Buffer, x: Buffer, form: BesideForm) -> Buffer:
    """norm(feed_forward(normed)) + norm(experts(norm(x))); names of the layer's code hold both to its end."""
    fed = feed_forward(tape, normed, form.dense)
    tape.drop(normed)
    first = normalise(tape, fed, form.norm)
    weights = _routes(tape, x, form)
    inner = normalise(tape, x, form.norm)
    mixed = letting_go(tape, inner, run_experts(tape, inner, weights, form.mixture))
    second = letting_go(tape, mixed, normalise(tape, mixed, form.norm))
    total = add(tape, first, second, ROW)
    tape.drop(fed)
    tape.bound += [first, second, weights]
    return total


def _routes(tape: Tape, x: Buffer, form: BesideForm) -> Buffer:
    """The chosen experts' weights: of what is normed, scaled by feature and by a number, and scaled by expert."""
    normed = normalise(tape, x, form.bare)
    scaled = letting_go(tape, normed, times_weight(tape, normed, wider(normed.dtype, form.norm.dtype), form.norm))
    given = letting_go(tape, scaled, scale(tape, scaled, ROUTER, constants=0))
    weights = routes(tape, given, form.mixture.router, form.mixture.chosen, FLOAT_SOFTMAX, None)
    tape.drop(given)
    return letting_go(tape, weights, scale(tape, weights, ROUTER))
