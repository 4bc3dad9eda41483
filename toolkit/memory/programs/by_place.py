"""The moments of a pass layer by layer, for what shares out a model whose layers are unlike: each has its own place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.memory.context import Scale
from toolkit.memory.programs.layer_order import order_of, telling_places
from toolkit.memory.programs.layer_turns import added_up
from toolkit.memory.programs.program import CHECKPOINTS
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.tape.gradients import GRADIENTS, NEW_GRADIENT

LAST, FIRST = "last layer", "first layer"


def forward_by_place(programs: Programs, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The same moments, of the last layer of each program with its place; the first layer's is not among them."""
    places = iter([one.places[-1] for one in programs.around[1:]])
    for stretch in stretches:
        yield replace(stretch, place=next(places)) if stretch.name == LAST else stretch


def backward_by_place(scale: Scale, programs: Programs, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The moments of backward, with those of all layers that may be the fullest for the ones of each program."""
    waiting: list[Stretch] = []
    turned = False
    for stretch in stretches:
        if stretch.name == LAST:
            if not turned:
                yield from _in_turn(scale, programs, stretch.throughout.get(NEW_GRADIENT, 0))
            turned = True
        elif stretch.name == FIRST:
            waiting = [stretch]  # the last of them is that of the first layer itself
        else:
            yield from (replace(one, place=0) for one in waiting)
            waiting = []
            yield stretch


def _in_turn(scale: Scale, programs: Programs, new: int) -> Iterator[Stretch]:
    """Layers but the first, beside what the layers before them have stored and what later ones leave."""
    order = order_of(programs.around)
    checkpoints = any(CHECKPOINTS in one.stored for one in programs.layers)
    beside = [(programs.masks if checkpoints else {}, 1), (programs.front, 1), (programs.head.pinned, 1)]
    there = {GRADIENTS: 0, **({NEW_GRADIENT: new} if new else {})}
    for place in telling_places(order):
        if not place:
            continue
        before, after = order[:place], order[place + 1 :]
        stored = [(one.stored, before.count(number)) for number, one in enumerate(programs.layers)]
        pinned = [(one.pinned, after.count(number)) for number, one in enumerate(programs.layers)]
        rows = added_up(scale, [*stored, *pinned, *beside], there)
        yield Stretch(LAST, rows, programs.layers[order[place]].backward, place)
