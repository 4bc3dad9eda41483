"""The order in which ZeRO 3 goes through a decoder after an encoder: their embedding is asked for by each, twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.parallel import zero_gather as places
from toolkit.memory.parallel.two_stacks import BETWEEN, ENCODER
from toolkit.memory.parallel.units import ROOT, Key, in_order, keys_of
from toolkit.memory.parallel.zero_gather import Visit
from toolkit.memory.parallel.zero_partition import each_of
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.weights.storage import StoredTensor
from toolkit.memory.weights.sums import shares_output


def stack_visits(architecture: Architecture, stored: Sequence[StoredTensor], *, recomputes: bool) -> Iterator[Visit]:
    """One step through the weights that do not stay gathered, forward and back; checkpointed layers run again."""
    layers: dict[Key, list[Visit]] = {}
    tables: dict[bool, list[Visit]] = {True: [], False: []}  # of positions, of the encoder and of the decoder
    words: list[Visit] = []
    after: list[Visit] = []
    for tensor in stored:
        for name, key in zip(tensor.module.layers, keys_of(tensor), strict=True):
            visit = Visit(tensor.name.replace("{}", name), each_of(tensor))
            if key != ROOT:
                layers.setdefault(key, []).append(visit)
            elif tensor.module.kind is ModuleKind.EMBEDDING:
                stack = tensor.name.partition(".embed_positions")
                (tables[ENCODER in stack[0]] if stack[1] else words).append(visit)
            elif tensor.module.kind is ModuleKind.HEAD:
                after.append(visit)
    ordered = [layers[key] for key in sorted(layers, key=in_order)]
    first = sum(ENCODER in stack for stack, _ in layers)
    if shares_output(architecture):
        after = words[:1]
    yield from words + tables[True]
    for place, layer in enumerate(ordered):
        yield from words + tables[False] if place == first else ()
        yield from _at(in_turn(place, back=False), layer)
    yield from _at(places.LOGITS, after)
    yield from _at(places.LOSS, after[::-1])
    for place in reversed(range(len(ordered))):
        yield from _at(in_turn(place, back=True), [*(ordered[place] if recomputes else ()), *ordered[place][::-1]])
        yield from _at(BETWEEN, [*tables[False][::-1], *words]) if place == first else ()
    yield from _at(places.EMBEDDING, [*tables[True][::-1], *words])


def in_turn(place: int, *, back: bool) -> str:
    """The name of a layer's place in a step."""
    return f"layer {place} {'backward' if back else 'forward'}"


def place_of(stretch: Stretch, *, back: bool) -> str | None:
    """The name of a stretch's place in a step of two stacks; None in that of one."""
    if stretch.place is None:
        return None
    return BETWEEN if stretch.name == BETWEEN else in_turn(stretch.place, back=back)


def _at(place: str, those: Sequence[Visit]) -> Iterator[Visit]:
    return (Visit(one.weight, one.elements, place) for one in those)
