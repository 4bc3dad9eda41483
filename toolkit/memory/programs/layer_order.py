"""The order of layers of several kinds, where the kinds take very different amounts of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toolkit.frozen import frozen
from toolkit.memory.architecture import LayerKind


@frozen
class Around:
    """How many layers of each program come before the first layer of one of them, and after the last.

    `places` are the positions of its own layers.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    places: tuple[int, ...] = ()


@frozen
class Turn:
    """Layers of one kind, whether a gradient flows to their input, and how many they are."""

    kind: int
    grad: bool
    count: int


def is_ordered(kinds: Sequence[LayerKind], order: Sequence[int]) -> bool:
    """Whether it is known which kind each layer has."""
    return len(kinds) > 1 and len(order) == sum(kind.count for kind in kinds)


def in_turn(order: Sequence[int], trained: int) -> tuple[tuple[Turn, ...], tuple[int, ...]]:
    """The layers after the first, by kind, before and after the first trained one; and each layer's program number.

    The first layer has its own program, number 0. No gradient flows to the input of the layer `trained`.
    """
    groups: dict[tuple[int, int], int] = {}
    numbers = [0]
    for place, kind in enumerate(order[1:], 1):
        key = kind, (place > trained) - (place < trained)
        numbers.append(groups.setdefault(key, len(groups) + 1))
    counts = Counter(numbers)
    turns = tuple(Turn(kind, side > 0, counts[number]) for (kind, side), number in groups.items())
    return turns, tuple(numbers)


def surroundings(numbers: Sequence[int]) -> tuple[Around, ...]:
    """What lies around each program's layers, from the program number of each layer."""
    return tuple(_around(list(numbers), program, max(numbers) + 1) for program in range(max(numbers) + 1))


def _around(numbers: list[int], program: int, programs: int) -> Around:
    first = numbers.index(program)
    last = len(numbers) - 1 - numbers[::-1].index(program)
    before, after = Counter(numbers[:first]), Counter(numbers[last + 1 :])
    places = tuple(place for place, number in enumerate(numbers) if number == program)
    return Around(tuple(before[one] for one in range(programs)), tuple(after[one] for one in range(programs)), places)


def order_of(around: Sequence[Around]) -> tuple[int, ...]:
    """The program number of each layer in the model's order; nothing where that is not known."""
    numbers = {place: number for number, one in enumerate(around) for place in one.places}
    return tuple(numbers[place] for place in range(len(numbers)))


def telling_places(order: Sequence[int]) -> tuple[int, ...]:
    """The first and the last layer of each kind between neighbours of the same kinds.

    From one of them to the next what is stored shrinks and what is reduced grows, both at one rate: one of them is the
    fullest.
    """
    found: dict[tuple[int, ...], list[int]] = {}
    padded = (-1, *order, -1)
    for place in range(len(order)):
        found.setdefault(padded[place : place + 3], []).append(place)
    return tuple(sorted({place for places in found.values() for place in (places[0], places[-1])}, reverse=True))
