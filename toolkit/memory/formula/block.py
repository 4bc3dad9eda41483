"""A layer of a single part: a norm, a token mixer or a feed-forward, and the sum with the residual stream.

Source: transformers 5.23 modeling_nemotron_h.py, NemotronHBlock.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention import attend
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.experts.mixture import MixtureForm, mixture
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add, cast
from toolkit.memory.formula.recurrence.mamba import MambaForm, mamba
from toolkit.memory.formula.recurrence.selective_scan import SelectiveForm, selective
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class BlockForm:
    """A layer of one part. With `wide` the stream is float32, and cast to the norm's dtype before it (Mamba 2)."""

    hidden: int
    part: AttentionForm | MambaForm | SelectiveForm | FeedForwardForm | MixtureForm
    norm: NormForm
    wide: bool = False


def block(tape: Tape, x: Buffer, form: BlockForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    given = cast(tape, x, form.norm.dtype, RESIDUAL) if form.wide else x
    normed = normalise(tape, given, form.norm)
    if given is not x:
        tape.drop(given)
    stream = cast(tape, x, "fp32", RESIDUAL) if form.wide else x
    part = form.part
    if isinstance(part, AttentionForm):
        mixed = attend(tape, normed, part)
    elif isinstance(part, MambaForm):
        mixed = mamba(tape, normed, part)
    elif isinstance(part, SelectiveForm):
        mixed = selective(tape, normed, part)
    elif isinstance(part, MixtureForm):
        mixed = mixture(tape, normed, part)
    else:
        mixed = feed_forward(tape, normed, part)
    tape.drop(normed)
    result = add(tape, stream, mixed, RESIDUAL)
    tape.drop(mixed, *tape.bound, *(() if stream is x else (stream,)))
    tape.bound.clear()
    return result
