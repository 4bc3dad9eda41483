"""A layer of one part alone: a norm, what mixes tokens or a feed-forward, and the sum with the stream.

Source: transformers 5.23 modeling_nemotron_h.py, NemotronHBlock.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.attention import attend
from toolkit.memory.formula.attention_form import AttentionForm
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.mamba import MambaForm, mamba
from toolkit.memory.formula.mixture import MixtureForm, mixture
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add
from toolkit.memory.tape import Tape


@frozen
class BlockForm:
    """A layer of one part."""

    hidden: int
    part: AttentionForm | MambaForm | FeedForwardForm | MixtureForm
    norm: NormForm


def block(tape: Tape, x: Buffer, form: BlockForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    normed = normalise(tape, x, form.norm)
    part = form.part
    if isinstance(part, AttentionForm):
        mixed = attend(tape, normed, part)
    elif isinstance(part, MambaForm):
        mixed = mamba(tape, normed, part)
    elif isinstance(part, MixtureForm):
        mixed = mixture(tape, normed, part)
    else:
        mixed = feed_forward(tape, normed, part)
    tape.drop(normed)
    result = add(tape, x, mixed, RESIDUAL)
    tape.drop(mixed, *tape.bound)
    tape.bound.clear()
    return result
