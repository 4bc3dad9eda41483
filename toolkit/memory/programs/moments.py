"""The moments within each phase at which memory can peak, from the programs of a model's layers and end.

Layers are alike, so what is alive changes linearly from layer to layer: the fullest moment is in the first or the last
layer of a pass, or in the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from toolkit.frozen import frozen
from toolkit.memory.context import Moment, Scale
from toolkit.memory.formula.caches.cached import ROW as CACHED
from toolkit.memory.formula.caches.growth import ROW as GROWTH
from toolkit.memory.formula.caches.growth import Growth
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.formula.ends.sampling import Drawing
from toolkit.memory.formula.inputs import ANGLES
from toolkit.memory.formula.linear.products import DEQUANTIZED
from toolkit.memory.ledger import PhaseName
from toolkit.memory.offloading import Stash, left_by, stashed
from toolkit.memory.parallel.sharing import Sharing, Step
from toolkit.memory.parallel.unlike_shards import UnlikeShards
from toolkit.memory.programs.by_place import backward_by_place, forward_by_place
from toolkit.memory.programs.layer_turns import (
    added_up,
    at_joint,
    before_last,
    beside_tied,
    but_one,
    first_of_kinds,
    made_after,
    pinned_after,
)
from toolkit.memory.programs.program import CHECKPOINTS, MAX_RECORDED
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.programs.validation import Held
from toolkit.memory.size import BYTES, Amounts, Size
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING, NEW_GRADIENT
from toolkit.memory.tape.gradients import STEP as TEMPORARY
from toolkit.memory.tape.peaks import Peaks

LOGITS = "logits"
NAMED = "named_result"
"""The result of the finished pass, to which the training loop refers while the optimizer steps."""
ENCODED = "norm_states"
"""The row of an encoder's result, which its last norm gives."""


@frozen
class Fullest:
    """The fullest moment of each phase, and the maximum of each row over all moments, in bytes."""

    moments: Mapping[PhaseName, Moment]
    widest: Mapping[str, int]

    def beside(self, other: Fullest) -> Fullest:
        """The moments of both, of different phases, and the larger size for each row."""
        rows = {*self.widest, *other.widest}
        widest = {row: max(self.widest.get(row, 0), other.widest.get(row, 0)) for row in rows}
        return Fullest({**self.moments, **other.moments}, widest)


@lru_cache(maxsize=MAX_RECORDED)
def of_training(
    programs: Programs, scale: Scale, gradients: int, spread: Sharing | None = None, reference: Programs | None = None,
    *, stash: Stash | None = None,
) -> Fullest:  # fmt: skip
    """The fullest moments of a step of training; `gradients` are the bytes of all that stay until the optimizer.

    A preference loss asks its `reference` after the forward pass.
    """
    made = gradients if spread is None else spread.made(gradients)
    earlier = {GRADIENTS: gradients} if programs.accumulates else {}
    forward, backward = list(_forward(scale, programs, earlier)), list(_backward(scale, programs, made))
    if isinstance(spread, UnlikeShards):
        forward = list(forward_by_place(programs, forward))
        backward = list(backward_by_place(scale, programs, backward))
    if stash is not None:
        forward = list(stashed(stash, scale, programs, forward, forward=True))
        backward = list(stashed(stash, scale, programs, backward, forward=False))
    if reference is not None:
        forward += [replace(one, name=f"reference: {one.name}") for one in _asked(scale, programs, reference, earlier)]
    result = linked(programs) if _holds_logits(programs) else []
    named = sum(added_up(scale, result, {}).values())
    left = {CHECKPOINTS: left_by(stash, scale, programs)} if stash is not None else {}
    update = [Stretch("step", {GRADIENTS: gradients, NAMED: named, **left})]
    if spread is not None:
        hidden, head = scale.bytes(programs.hidden), scale.bytes(programs.head.gradients)
        stored = [(program.stored, program.count) for program in programs.layers]
        inputs = added_up(scale, but_one(stored, 0), {}).get(CHECKPOINTS, 0)
        front = added_up(scale, [(programs.layers[0].stored, 1)], {})
        step = Step(hidden, head, programs.embedding, programs.tied, inputs, front, _logits_gradient(scale, programs))
        forward, backward = list(spread.forward(step, forward)), list(spread.backward(step, backward))
        shared = list(spread.update(gradients))
        update = [replace(one, throughout={**one.throughout, NAMED: named}) for one in shared] if named else shared
    phases = {
        PhaseName.FORWARD_END: (scale, forward),
        PhaseName.BACKWARD: (scale, backward),
        PhaseName.OPTIMIZER_STEP: (scale, update),
    }
    return _fullest(phases)


def fuller(one: Fullest, other: Fullest) -> Fullest:
    """The fuller of two moments for each phase, and the larger size for each row."""
    moments = {
        phase: max(moment, other.moments[phase], key=lambda each: each.total) for phase, moment in one.moments.items()
    }
    rows = {*one.widest, *other.widest}
    return Fullest(moments, {row: max(one.widest.get(row, 0), other.widest.get(row, 0)) for row in rows})


def _logits_gradient(scale: Scale, programs: Programs) -> int:
    """The bytes of the gradient of all logits, which the product with the output weight gets."""
    form = programs.head.origin.form if programs.head.origin is not None else None
    if not isinstance(form, HeadForm) or form.loss != "cross-entropy":
        return 0
    product = form.projection
    return scale.bytes(Size(token=product.outputs * BYTES[product.autocast or product.dtype]).parts())


def _holds_logits(programs: Programs) -> bool:
    if programs.detaches:
        return False
    form = programs.head.origin.form if programs.head.origin is not None else None
    return programs.logits is not None or (isinstance(form, HeadForm) and bool(form.held))


@lru_cache(maxsize=MAX_RECORDED)
def of_forward(programs: Programs, scale: Scale) -> Fullest:
    """The fullest moment of one pass of a model that generates nothing."""
    return _fullest({PhaseName.PREFILL: (scale, list(_forward(scale, programs, {})))})


@lru_cache(maxsize=MAX_RECORDED)
def of_validation(programs: Programs, scale: Scale, held: Held) -> Fullest:
    """The fullest moment of a pass without gradients between steps, and of joining what was predicted."""
    held_on = dict(held.throughout)
    passes = [
        replace(one, throughout={**one.throughout, **held_on, **_encoded(scale, programs, one)})
        for one in _prompt(scale, programs, held.angles)
    ]
    joining = Stretch("joining predictions", dict(held.joined))
    return _fullest({PhaseName.VALIDATION: (scale, [*passes, joining])})


def _encoded(scale: Scale, programs: Programs, stretch: Stretch) -> Mapping[str, int]:
    """An encoder's result, which the model's code holds from the decoder's first layer on."""
    joint = programs.joint
    if joint is None:
        return {}
    encodes = stretch.place is not None and stretch.place < sum(one.count for one in programs.layers[: joint.program])
    return {} if encodes else {ENCODED: scale.bytes(joint.result)}


def _prompt(scale: Scale, programs: Programs, angles: int) -> Iterator[Stretch]:
    """The pass over a prompt; the model's body holds the `angles` of its positions, and the end does not."""
    for stretch in _forward(scale, programs, {}):
        held = {} if stretch.name == LOGITS or not angles else {ANGLES: angles}
        yield replace(stretch, throughout={**stretch.throughout, **held})


@lru_cache(maxsize=MAX_RECORDED)
def of_generation(
    programs: Programs, scale: Scale, growth: Growth, *, fuses: bool, decodes: bool, drawing: Drawing | None = None,
    angles: int = 0,
) -> Fullest:  # fmt: skip
    """The fullest moments of generation, and what is there beside them while a cache grows.

    `decodes` says that there are tokens after the first, which the prompt's pass gives; `fuses` that one token of each
    sequence is multiplied by 4-bit weights without dequantizing them. A prompt's result that is still held at the
    second token is the prompt's: that token, which attends to one more than the prompt, is the end of its phase.
    """
    once = Scale(scale.batch, 1, rank=scale.rank, keys=growth.keys)
    twice = Scale(scale.batch, 1, rank=scale.rank, keys=min(scale.sequence + 1, growth.keys))
    decoding = _decoding(programs, fuses=fuses)
    prompt = list(_prompt(scale, programs, angles))
    if growth.second:
        there = added_up(scale, [(program.kept, program.count) for program in programs.layers], dict(growth.second))
        second = _fullest_of(twice, list(_forward(twice, decoding, there)))
        prompt.append(Stretch("second token", second.rows))
        prompt.append(Stretch("second token", {**there, GROWTH: there[GROWTH] + growth.first}))
    held = dict(growth.held)
    throughout = {**held, GROWTH: growth.last} if growth.whole else held
    grows = Stretch("cache growth", {**held, GROWTH: growth.last})
    steps = [grows, *_forward(once, decoding, throughout)] if decodes else [Stretch("prompt done", held)]
    if growth.decoded and decodes:
        there = added_up(scale, [(program.kept, program.count) for program in programs.layers], held)
        there[GROWTH] = there.pop(CACHED, 0)  # the row of the cache is that of all tokens' cache
        steps.append(Stretch("second token", _fullest_of(twice, list(_forward(twice, decoding, there))).rows))
    if drawing is not None:
        there = added_up(scale, [(program.kept, program.count) for program in programs.layers], dict(drawing.first))
        prompt.append(Stretch("drawing", there))
        steps += [Stretch("drawing", {**throughout, **dict(drawing.later)})] if decodes else []
    phases = {PhaseName.PREFILL: (scale, prompt), PhaseName.DECODE: (once, steps)}
    return _fullest(phases)


@lru_cache(maxsize=MAX_RECORDED)
def _decoding(programs: Programs, *, fuses: bool) -> Programs:
    """The programs for one token of each sequence."""
    decoding = replace(programs, layers=programs.decoding, before=()) if programs.decoding else programs
    if programs.encoding:  # the encoder's result is what generation holds all the time
        decoding = replace(decoding, called={})
    return _fused(decoding) if fuses else decoding


def _fused(programs: Programs) -> Programs:
    """The programs whose products dequantize nothing."""
    layers = (replace(program, forward=program.forward.without(DEQUANTIZED)) for program in programs.layers)
    head = replace(programs.head, forward=programs.head.forward.without(DEQUANTIZED))
    return replace(programs, layers=tuple(layers), head=head)


def _fullest(phases: Mapping[PhaseName, tuple[Scale, list[Stretch]]]) -> Fullest:
    moments: dict[PhaseName, Moment] = {}
    widest: dict[str, int] = {}
    for phase, (scale, stretches) in phases.items():
        sized = _sized(scale, stretches)
        moments[phase] = _fullest_of(scale, stretches, sized)
        for stretch in stretches:
            throughout = stretch.throughout
            rows = sized[id(stretch.peaks)].widest.items()
            for row, size in chain(throughout.items(), [(row, size + throughout.get(row, 0)) for row, size in rows]):
                if size > widest.get(row, 0):
                    widest[row] = size
    return Fullest(moments, widest)


def _fullest_of(scale: Scale, stretches: list[Stretch], sized: Mapping[int, _Sized] | None = None) -> Moment:
    """The moment with the largest total; the first of equal ones."""
    sized = sized or _sized(scale, stretches)
    stretch = max(stretches, key=lambda one: sum(one.throughout.values()) + sized[id(one.peaks)].total)
    return Moment(stretch.name, added_up(scale, [(sized[id(stretch.peaks)].alive, 1)], stretch.throughout))


class _Sized(NamedTuple):
    """What is alive at the fullest moment of a stretch, its total, and the most that each row takes, in bytes."""

    alive: Amounts
    total: int
    widest: Mapping[str, int]


def _sized(scale: Scale, stretches: Iterable[Stretch]) -> dict[int, _Sized]:
    """The same for all moments that stretches have, by their ids: stretches of layers that are alike share them."""
    distinct = {id(one.peaks): one.peaks for one in stretches}
    return {number: _sized_of(scale, peaks) for number, peaks in distinct.items()}


def _sized_of(scale: Scale, peaks: Peaks) -> _Sized:
    totals = [scale.bytes(moment.total) for moment in peaks.moments]
    total = max(totals)
    widest = {row: max([scale.bytes(size) for size in sizes]) for row, sizes in peaks.widest.items()}
    return _Sized(peaks.moments[totals.index(total)].alive, total, widest)


def _forward(scale: Scale, programs: Programs, earlier: Mapping[str, int]) -> Iterator[Stretch]:
    """The end of the forward pass: inside the last layer, or at the logits; `earlier` exists throughout."""
    kept = [(program.kept, program.count) for program in programs.layers]
    held = programs.masks if any(CHECKPOINTS in one.kept for one in programs.layers) else {}
    if programs.scattered:
        yield Stretch("embedding", {**earlier, "adapter_matrices": programs.scattered})
    for index, program in enumerate(programs.before):  # what goes into the first is what the model's code holds
        beside = (programs.encoding, 1) if programs.encoding else (programs.passing, min(index, 1))
        yield Stretch("encoder", added_up(scale, [beside], earlier), program.forward)
    last = [] if programs.detaches else linked(programs)
    for index in _last(programs):
        there_by = but_one(kept, index, programs.around)
        others = [*there_by, (programs.held, 1), (programs.masks, 1), (programs.front, 1), (programs.called, 1)]
        others += last if programs.logits is not None else []
        place = programs.last_of(index)
        yield Stretch("last layer", added_up(scale, others, earlier), programs.layers[index].forward, place)
    ends = [*kept, (held, 1), (programs.front, 1), (programs.called, 1)]
    if programs.logits is not None:
        yield Stretch(LOGITS, added_up(scale, [*ends, *last], earlier), programs.logits.forward)
    yield Stretch(LOGITS, added_up(scale, ends, earlier), programs.head.forward)


def _asked(scale: Scale, programs: Programs, reference: Programs, earlier: Mapping[str, int]) -> Iterator[Stretch]:
    """The pass of a reference model, beside all that the trained model has stored for backward."""
    yield from _forward(scale, reference, added_up(scale, programs.waiting, earlier))


def _backward(scale: Scale, programs: Programs, gradients: int) -> Iterator[Stretch]:
    """The loss, the last layer (with all inputs still stored), the first layer, the embedding.

    With gradient accumulation all gradients exist; otherwise those of the stretches already done, and the current one.
    """
    stored = [(program.stored, program.count) for program in programs.layers]
    first = programs.layers[0]
    checkpoints = any(CHECKPOINTS in one.stored for one in programs.layers)
    waiting = [(programs.masks if checkpoints else {}, 1), (programs.front, 1)]
    pinned = [(program.pinned, program.count - (program is first)) for program in programs.layers]
    last = 0 if programs.shares_embedding else programs.embedding  # a tied one has been there since the logits
    done = {
        "loss": 0,
        "last layer": scale.bytes(programs.head.gradients),
        "first layer": gradients - scale.bytes(first.gradients) - _at_the_end(scale, programs, last),
    }
    there = {name: {GRADIENTS: gradients if programs.accumulates else size} for name, size in done.items()}
    for name, size in _of_penalty(scale, programs).items():
        there[name][NEW_GRADIENT] = there[name].get(NEW_GRADIENT, 0) + size
    yield Stretch("loss", added_up(scale, [*stored, *waiting], there["loss"]), programs.head.backward)
    waiting.append((programs.head.pinned, 1))
    for index in _last(programs):
        there_by = [*but_one(stored, index, programs.around), *pinned_after(programs, index), *waiting]
        others = added_up(scale, there_by, beside_tied(programs, index, there["last layer"]))
        others[GRADIENTS] += 0 if programs.accumulates else made_after(scale, programs, index)
        yield Stretch("last layer", others, programs.layers[index].backward, programs.last_of(index))
        yield from before_last(scale, programs, index, stored, waiting, there["last layer"])
    if programs.joint is not None and programs.embedding:
        yield from at_joint(scale, programs, programs.joint, [*stored, *waiting], gradients)
    yield from first_of_kinds(scale, programs, stored, waiting, there["first layer"])
    waiting += [] if programs.leads else [(programs.lingering, 1)]
    place = None if programs.joint is None else 0
    beside = beside_tied(programs, 0, there["first layer"])
    yield Stretch("first layer", added_up(scale, [*pinned, *waiting], beside), first.backward, place)
    if programs.inputs is not None:
        made = there["first layer"][GRADIENTS] + (0 if programs.accumulates else scale.bytes(first.gradients))
        hidden = {GRADIENTS: made, INCOMING: scale.bytes(programs.hidden)}
        yield Stretch("inputs of layers", added_up(scale, [*pinned], hidden), programs.inputs.backward)
    yield from _at_embedding(scale, programs, gradients)


def _of_penalty(scale: Scale, programs: Programs) -> dict[str, int]:
    """The gradients of a penalty that still wait: all of them, in the end those of the first layer, by its share."""
    if not programs.penalty:
        return {}
    made = sum(one.count * scale.bytes(one.gradients) for one in programs.layers)
    first = programs.penalty * scale.bytes(programs.layers[0].gradients) // made if made else 0
    return {"loss": programs.penalty, "last layer": programs.penalty, "first layer": first}


def _at_the_end(scale: Scale, programs: Programs, embedding: int) -> int:
    """The gradients that are made after those of the first layer."""
    inputs = 0 if programs.inputs is None else scale.bytes(programs.inputs.gradients)
    return embedding + programs.added + inputs


def _pinned(programs: Programs) -> list[tuple[Amounts, int]]:
    return [(program.pinned, program.count) for program in programs.layers]


def linked(programs: Programs) -> list[tuple[Amounts, int]]:
    """What stays of a pass that is done while its result has a name."""
    return [*_pinned(programs), (programs.head.pinned, 1), (programs.leaf, 1)]


def _last(programs: Programs) -> range:
    """The indices of the programs that may be the last layer's: not the first layer's, unless it is the only one.

    In inference the first layer has no program of its own.
    """
    if programs.around and programs.decoding:
        return range(len(programs.layers))
    return range(min(1, len(programs.layers) - 1), len(programs.layers))


def _at_embedding(scale: Scale, programs: Programs, gradients: int) -> Iterator[Stretch]:
    """The gradient of the first layer's input, and that of the embedding, which is the last or added to another.

    For a tied embedding it is added to the output weight's in a new tensor, unless that one came from autocast's copy
    or is a sum over chunks.
    """
    pinned = added_up(scale, [*_pinned(programs), (programs.head.pinned, 1)], {GRADIENTS: gradients})
    if programs.joint is not None and not programs.joint.shares:
        return
    new = programs.embedding * (programs.shares_embedding + programs.accumulates) + programs.scattered
    if programs.steps:
        stepping = {NEW_GRADIENT: programs.embedding, TEMPORARY: programs.steps * programs.embedding}
        yield Stretch("embedding", {**pinned, **stepping})
    yield Stretch("embedding", {**pinned, INCOMING: scale.bytes(programs.hidden), NEW_GRADIENT: new})
    if programs.adds_anew(scale.chunks) and programs.joint is None:
        yield Stretch("embedding", {**pinned, NEW_GRADIENT: new + programs.embedding})
