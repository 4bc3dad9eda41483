"""Mamba 2 beside attention: both have the same input; their results are multiplied by numbers and added.

Source: transformers 5.23 modeling_falcon_h1.py, FalconH1DecoderLayer.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention import attend
from toolkit.memory.formula.attention.attention_form import OUTPUT, AttentionForm
from toolkit.memory.formula.operations import add, letting_go, scale
from toolkit.memory.formula.recurrence.mamba import MambaForm, mamba
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class MambaBesideForm:
    """Both, as a tape needs them."""

    mamba: MambaForm
    attention: AttentionForm


def mamba_beside(tape: Tape, x: Buffer, form: MambaBesideForm) -> Buffer:
    """The sum; the caller keeps `x`, and the layer's code refers to both multiples to its end."""
    mixed = mamba(tape, x, form.mamba)
    mixed = letting_go(tape, mixed, scale(tape, mixed, OUTPUT, constants=0))
    given = scale(tape, x, OUTPUT, constants=0)
    attended = attend(tape, given, form.attention)
    tape.drop(given)
    attended = letting_go(tape, attended, scale(tape, attended, OUTPUT, constants=0))
    tape.bound += [mixed, attended]
    return add(tape, mixed, attended, OUTPUT)
