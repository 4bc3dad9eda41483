"""What one GPU has of a pass and its way back, where `device_map` spreads the layers of a model that is trained.

Hooks bring each layer its input, and of what all layers share a copy for each layer on another GPU. A checkpoint keeps
what it is given: all that was brought, or where hooks are run again with the layer, none of it. Logits go back to the
GPU of the input, where a trainer makes them float32, and their gradients the same way back. Sources: accelerate
hooks.py, AlignDevicesHook and attach_align_device_hook_on_blocks; transformers modeling_layers.py.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import zip_longest

from toolkit.memory.formula.ends.logits import FLOAT, LOGITS, HeadForm, NormEndForm
from toolkit.memory.formula.ends.outputs import MADE_IN_CHUNKS
from toolkit.memory.libraries.losses import TILES
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.programs.program import CHECKPOINTS, MAX_RECORDED, Origin, Program, record_head
from toolkit.memory.programs.programs import Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, NOTHING, Amounts, Size
from toolkit.memory.tape.peaks import ALONE, Peaks, amounts

COPIES = "copied_inputs"

GOES_TO_THE_HEAD = ("cross-entropy", *TILES)
"""Losses that take hidden states to where the output weight is (TRL's by itself: trainer/utils.py, _fused_forward)."""


@lru_cache(maxsize=MAX_RECORDED)
def train_on_stage(programs: Programs, stage: Stage, angles: Size, *, hooks_again: bool) -> Programs:
    """The programs of one GPU in training; `angles` are the cosines and sines that each layer is given.

    `hooks_again` says that a layer that runs again for its checkpoint has its inputs brought again.
    Raises UnsupportedRow for models that are more than embeddings, a stack of layers and an end.
    """
    origin = _origin(programs)
    head = _end(programs.head, origin, stage)
    if not stage.layers:
        idle = Program(1, ALONE, {}, {}, ALONE, NOTHING, head.result)
        return replace(programs, layers=(idle,), head=head, passing={}, masks={}, front={}, called={})
    again = hooks_again and any(CHECKPOINTS in one.stored for one in programs.layers)
    if stage.hands_on and again:  # the next GPU's first checkpoint keeps what this one's last layer gave
        inputs = {CHECKPOINTS: programs.hidden.parts()}
        head = replace(head, forward=_with(head.forward, inputs), stored={**head.stored, **inputs})
    copied = NOTHING if stage.turns else angles
    parts = [copied.parts(), *(programs.masks.values() if not stage.embeds else ())]
    copies: Amounts = {COPIES: tuple(map(sum, zip_longest(*parts, fillvalue=0)))}
    layers = tuple(_beside(one, copies, stays=not again) for one in programs.layers)
    if stage.embeds:
        return replace(programs, layers=layers, head=head)
    layers = (_given_elsewhere(layers[0]), *layers[1:]) if again else layers
    return replace(programs, layers=layers, head=head, passing={}, masks={}, front={}, called={})


def _given_elsewhere(first: Program) -> Program:
    """A GPU's first layer, whose checkpoint keeps its input on the GPU before."""
    kept, stored = (
        {row: size for row, size in alive.items() if row != CHECKPOINTS} for alive in (first.kept, first.stored)
    )
    return replace(first, kept=kept, stored=stored)


def _origin(programs: Programs) -> Origin:
    origin = programs.head.origin
    if origin is None or not isinstance(origin.form, HeadForm):
        raise UnsupportedRow("parallel", "no formula for training with pipeline but of a decoder with its head yet")
    if programs.joint or programs.inputs or programs.leads or programs.before or programs.logits:
        raise UnsupportedRow("parallel", "no formula for training this model with pipeline yet")
    return origin


def _end(head: Program, origin: Origin, stage: Stage) -> Program:
    """The end of the model on one GPU: final norm, logits and loss, or what comes back of them."""
    form, hidden, stream = origin.form, origin.hidden, origin.stream
    assert isinstance(form, HeadForm)
    if stage.projects and not stage.norms and form.loss not in GOES_TO_THE_HEAD:
        reason = f"no formula for the loss {form.loss!r} of hidden states on another GPU than the output weight yet"
        raise UnsupportedRow("parallel", reason)
    if stage.projects:
        here = replace(form, normed=not stage.norms, widens=form.widens and stage.embeds)
        return record_head(here, hidden, stream)
    end = record_head(NormEndForm(form.norm), hidden, stream) if stage.norms else _nothing(head)
    if not stage.embeds or form.loss in MADE_IN_CHUNKS:
        return end
    return replace(end, forward=Peaks.of([*(one.alive for one in end.forward.moments), amounts(_come_back(form))]))


def _nothing(head: Program) -> Program:
    return Program(1, ALONE, {}, {}, ALONE, NOTHING, head.result)


def _come_back(form: HeadForm) -> dict[str, Size]:
    """The logits on the GPU of the input, and the float32 copy that a trainer makes of them there."""
    width = form.projection.outputs
    dtype = form.projection.autocast or form.projection.dtype
    wide = Size(token=width * BYTES["fp32"])
    if form.upcasts_early or dtype == "fp32":
        return {FLOAT: wide}
    narrow = {LOGITS: Size(token=width * BYTES[dtype])}
    return {**narrow, FLOAT: wide} if form.widens else narrow


def _beside(program: Program, copies: Amounts, *, stays: bool) -> Program:
    """A layer with what is copied to its GPU, which autograd keeps, unless the layer runs again."""
    if not any(copies[COPIES]):
        return program
    kept = {**program.kept, **copies} if stays else program.kept
    stored = {**program.stored, **copies} if stays else program.stored
    forward, backward = (_with(one, copies) for one in (program.forward, program.backward))
    return replace(program, forward=forward, backward=backward, kept=kept, stored=stored)


def _with(peaks: Peaks, copies: Amounts) -> Peaks:
    return Peaks.of({**one.alive, **copies} for one in peaks.moments)
