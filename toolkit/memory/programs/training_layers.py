"""The programs of a model's layers in training: the first alone, the others by kind, from the first trained one on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.memory.architecture.megatron import FAMILY as MEGATRON
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.follow import AnyLayer
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.programs.layer_order import Around, in_turn, is_ordered, surroundings
from toolkit.memory.programs.own_inputs import as_last
from toolkit.memory.programs.program import Program, Stream, record_layer
from toolkit.memory.size import NOTHING


def training_layers(
    build: Builder, forms: Sequence[tuple[AnyLayer, int]], stream: Stream, stage: Stage | None = None
) -> tuple[tuple[Program, ...], Stream, tuple[Around, ...]]:
    """The programs, the stream that the last layer gives, and what comes before and after each where that matters.

    Those of a `stage` with a schedule begin with what it receives, and end with what it hands on.
    """
    kinds, order = build.architecture.layers, build.architecture.order
    (form, count), *others = forms
    buffered = stage is not None and stage.scheduled and build.architecture.family != MEGATRON
    stage = stage if buffered else None
    sends, alone = stage is not None and stage.hands_on, stage is not None and stage.layers == 1
    embeds = stage is None or stage.embeds
    first = record_layer(form, 1, replace(stream, received=not embeds, sends=sends and alone))
    if alone and embeds and first.input != NOTHING:  # which the model's code holds until the layer is done
        first = record_layer(form, 1, replace(stream, received=True, sends=sends))
    later = replace(stream, dtype=build.numerics.between or first.result, grad=True)
    if not is_ordered(kinds, order):
        left = ((form, count - 1), *others)
        programs = (first, *(record_layer(one, number, later) for one, number in left if number))
        if not sends or alone:
            return programs, later, ()
        sending = record_layer(form, 1, replace(later, sends=True))
        programs, numbers = _with_last(programs, (0, *(1,) * (count - 1)), sending)
        return programs, later, surroundings(numbers)
    turns, numbers = in_turn(order, first_trained(build))
    streams = {True: later, False: replace(later, grad=False)}
    programs = (first, *(record_layer(forms[one.kind][0], one.count, streams[one.grad]) for one in turns))
    last = as_last(forms[order[-1]][0]) or (forms[order[-1]][0] if sends else None)
    if last is not None and len(order) > 1:
        programs, numbers = _with_last(programs, numbers, record_layer(last, 1, replace(later, sends=sends)))
    return programs, later, surroundings(numbers)


def _with_last(
    programs: tuple[Program, ...], numbers: tuple[int, ...], last: Program
) -> tuple[tuple[Program, ...], tuple[int, ...]]:
    """Gives the last layer a program of its own."""
    place = numbers[-1]
    left = replace(programs[place], count=programs[place].count - 1)
    if not left.count:
        return (*programs[:place], last, *programs[place + 1 :]), numbers
    return (*programs[:place], left, *programs[place + 1 :], last), (*numbers[:-1], len(programs))


def first_trained(build: Builder) -> int:
    """The first layer through which a gradient flows: that of the first adapter, if embeddings need none."""
    if build.numerics.first_grad:
        return 0
    adapted = (module for module in build.architecture.modules if build.branch(module.path) is not None)
    layers = [int(layer.partition(".")[0]) for module in adapted for layer in module.layers if layer]
    return min(layers, default=0)
