"""The programs of a pass without gradients through a model that trains."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import cast

from toolkit.frozen import frozen
from toolkit.memory.formula.families.bart_ends import BartHeadForm
from toolkit.memory.formula.families.t5_ends import T5HeadForm
from toolkit.memory.formula.follow import AnyHead, AnyLayer
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.programs.program import MAX_RECORDED, Program, inputs_of, record_inference, record_loss
from toolkit.memory.programs.programs import Programs


@lru_cache(maxsize=MAX_RECORDED)
def without_gradients(programs: Programs, cache: str) -> Programs:
    """The same layers and end in evaluation mode, which save nothing; `cache` as of a tape.

    Casts that autocast keeps of trained weights stay until the pass is over, as in training.
    """
    encoding = programs.joint.program if programs.joint is not None else 0
    layers = tuple(_layer(one, "" if place < encoding else cache) for place, one in enumerate(programs.layers))
    named = programs.named_inputs
    return Programs(
        layers=layers,
        head=_end(programs.head),
        hidden=programs.hidden,
        passing={**({RESIDUAL: inputs_of(layers, named)} if named else programs.passing), **programs.scores},
        masks=programs.masks,
        called=programs.called,
        around=programs.around,
        joint=programs.joint,
    )


def _layer(program: Program, cache: str) -> Program:
    origin = program.origin
    assert origin is not None
    return record_inference(cast("AnyLayer", origin.form), program.count, origin.stream.dtype, cache)


def _end(program: Program) -> Program:
    origin = program.origin
    assert origin is not None
    form = cast("AnyHead", origin.form)
    if isinstance(form, T5HeadForm | BartHeadForm):  # an encoder's result is counted beside the decoder
        form = replace(form, holds_encoded=False)
    return record_loss(form, origin.hidden, origin.stream.dtype)


@frozen
class Held:
    """What is there beside a pass, in bytes: the `angles` of positions, for as long as the body runs.

    By row, what the loop has `throughout`, or while it joins predictions.
    """

    angles: int = 0
    throughout: tuple[tuple[str, int], ...] = ()
    joined: tuple[tuple[str, int], ...] = ()
