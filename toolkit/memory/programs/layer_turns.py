"""What exists beside the current layer of a pass, from the layers that have run and those still to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from toolkit.memory.context import Scale
from toolkit.memory.parallel.two_stacks import BETWEEN
from toolkit.memory.programs.layer_order import Around
from toolkit.memory.programs.programs import Joint, Programs
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.size import Amounts
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING, NEW_GRADIENT


def but_one(
    layers: list[tuple[Amounts, int]], index: int, around: tuple[Around, ...] = ()
) -> list[tuple[Amounts, int]]:
    """All layers except the last one of a program, and the layers after it."""
    after = around[index].after if around else (0,) * len(layers)
    return [(alive, count - (place == index) - after[place]) for place, (alive, count) in enumerate(layers)]


def pinned_after(programs: Programs, index: int) -> list[tuple[Amounts, int]]:
    """What nodes of the layers after a program's last keep as attributes, until the graph is freed."""
    if not programs.around:
        return []
    counts = programs.around[index].after
    return [(one.pinned, count) for one, count in zip(programs.layers, counts, strict=True)]


def made_after(scale: Scale, programs: Programs, index: int) -> int:
    """The gradients of the layers after a program's last; with a decoder, that of its embedding comes first."""
    if not programs.around:
        return 0
    counts = programs.around[index].after
    joint = programs.joint
    embedded = programs.embedding if joint is not None and index < joint.program and not programs.tied else 0
    layers = zip(programs.layers, counts, strict=True)
    return embedded + sum(count * scale.bytes(one.gradients) for one, count in layers)


def beside_tied(programs: Programs, index: int, there: Mapping[str, int]) -> dict[str, int]:
    """What is there at the layers of a program, with a tied output weight's gradient that waits for the embedding's.

    A decoder's embedding has had its own when the encoder's layers come, unless the encoder has the same.
    """
    joint = programs.joint
    done = joint is not None and not joint.shares and index < joint.program
    if done or not (programs.tied and programs.accumulates):
        return dict(there)
    return {**there, NEW_GRADIENT: there.get(NEW_GRADIENT, 0) + programs.embedding}


def before_last(
    scale: Scale, programs: Programs, index: int, stored: list[tuple[Amounts, int]], waiting: list[tuple[Amounts, int]],
    there: Mapping[str, int],
) -> Iterator[Stretch]:  # fmt: skip
    """The layer before a program's last, whose gradients exist by then: for a decoder with an encoder."""
    place, program = programs.last_of(index), programs.layers[index]
    if place is None or program.count == 1:
        return
    left = [(alive, count - (number == index)) for number, (alive, count) in enumerate(stored)]
    went = [*pinned_after(programs, index), (program.pinned, 1)]
    others = added_up(
        scale, [*but_one(left, index, programs.around), *went, *waiting], beside_tied(programs, index, there)
    )
    made = made_after(scale, programs, index) + scale.bytes(program.gradients)
    others[GRADIENTS] += 0 if programs.accumulates else made
    yield Stretch("last layer", others, program.backward, place - 1)


def first_of_kinds(
    scale: Scale, programs: Programs, stored: list[tuple[Amounts, int]], waiting: list[tuple[Amounts, int]],
    there: Mapping[str, int],
) -> Iterator[Stretch]:  # fmt: skip
    """The first layer of each program after the first: earlier layers are still stored and have no gradients yet."""
    first = scale.bytes(programs.layers[0].gradients)
    for index, around in enumerate(programs.around):
        layer, counts = programs.layers[index], around.before
        if index == 0:
            continue
        waits = [(one.gradients, count) for one, count in zip(programs.layers, counts, strict=True)]
        left = sum(count * scale.bytes(size) for size, count in waits) + scale.bytes(layer.gradients) - first
        kept = [(alive, count) for (alive, _), count in zip(stored, counts, strict=True)]
        kept += [(programs.lingering, 1)] if programs.leads and index == 1 else []
        after = (one.count - count - (one is layer) for one, count in zip(programs.layers, counts, strict=True))
        kept += [(one.pinned, count) for one, count in zip(programs.layers, after, strict=True)]
        others = added_up(scale, [*kept, *waiting], beside_tied(programs, index, there))
        joint = programs.joint
        if joint is not None and index >= joint.program and programs.shares_embedding and not programs.tied:
            left += programs.embedding
        others[GRADIENTS] -= 0 if programs.accumulates else left
        yield Stretch("first layer", others, layer.backward, programs.first_of(index))


def at_joint(
    scale: Scale, programs: Programs, joint: Joint, alive: list[tuple[Amounts, int]], gradients: int
) -> Iterator[Stretch]:
    """The gradient of a decoder's embeddings, while all that the encoder's layers saved is still there.

    The gradient of the output weight, which is the same weight, waits for it; they are added into a new tensor, unless
    autocast's copy gave the first.
    """
    later = programs.layers[joint.program :]
    went = [(one.pinned, one.count) for one in later]
    kept = [*alive[: joint.program], *went, *alive[len(programs.layers) :]]
    there = added_up(scale, kept, {})
    between = added_up(scale, [(joint.kept, 1)], {})
    made = (
        between.pop(GRADIENTS, 0)
        + scale.bytes(programs.head.gradients)
        + sum(one.count * scale.bytes(one.gradients) for one in later)
    )
    there[GRADIENTS] = gradients if programs.accumulates else made
    there.update({row: there.get(row, 0) + size for row, size in between.items()})
    result = scale.bytes(joint.result.parts())
    new = programs.embedding * (1 + (programs.tied and programs.accumulates))
    place = sum(one.count for one in programs.layers[: joint.program])
    beside = {INCOMING: result + scale.bytes(programs.hidden), NEW_GRADIENT: new}
    yield Stretch(BETWEEN, {**there, **beside}, place=place)
    if programs.adds_anew(scale.chunks):
        beside = {INCOMING: result, NEW_GRADIENT: new + programs.embedding}
        yield Stretch(BETWEEN, {**there, **beside}, place=place)


def added_up(scale: Scale, parts: Iterable[tuple[Amounts, int]], beside: Mapping[str, int]) -> dict[str, int]:
    """The bytes of each row, from the parts with their counts and what is beside them."""
    rows = dict(beside)
    for alive, count in parts:
        for row, size in alive.items():
            rows[row] = rows.get(row, 0) + count * scale.bytes(size)
    return rows
