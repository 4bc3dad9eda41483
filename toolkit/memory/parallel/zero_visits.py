"""The modules of a step in the order in which DeepSpeed's hooks see them, with the weights that each gathers.

A module without weights of its own is asked for, too, and weights are gathered ahead then as well. Source: deepspeed
runtime/zero/parameter_offload.py (0.19), _register_deepspeed_module; torch's own order of modules and of their hooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from toolkit.frozen import frozen

LAST, LOGITS, LOSS, LAST_BACK, FIRST_BACK, EMBEDDING = (
    "last layer",
    "logits",
    "loss",
    "last layer backward",
    "first layer backward",
    "embedding",
)

UNTIL_BACKWARD, UNTIL_STEP = "backward", "step"
"""Until when autograd has a name for the memory of a weight that ZeRO has let go of: its own backward, or the end."""


@frozen
class Weight:
    """A weight that does not stay gathered: so many elements, by which DeepSpeed's limits go, of `item` bytes each.

    `pinned` says that what a module makes of it in forward has a name for its memory: a view that autograd saves.
    """

    name: str
    elements: int
    item: int = 1
    pinned: str = ""

    @property
    def size(self) -> int:
        """What it takes: bytes, or elements where `item` is 1."""
        return self.elements * self.item


@frozen
class Visit:
    """A module that a pass goes through: weights that it gathers, and where in the pass that is.

    `kept` are weights that it does not let go of, as a later module does. A forward pass `records` a graph that is
    there until the step ends; it `saves` what backward needs, and `detaches` that as checkpoints do: by copies that
    share a weight's memory. Where it `ends`, the module had been asked for before, and others ran in its time. With all
    that is in it it is gathered as a `whole` (z3_leaf_module).
    """

    weights: tuple[Weight, ...] = ()
    place: str = ""
    kept: frozenset[str] = frozenset()
    back: bool = False
    records: bool = False
    saves: bool = False
    detaches: bool = False
    ends: bool = False
    path: str = ""
    whole: bool = False

    def pins(self, weight: Weight) -> str:
        """Until when autograd has a name for a weight's memory, as it is gathered now; empty where it has none."""
        if weight.pinned == UNTIL_STEP:
            return UNTIL_STEP if self.records else ""
        return UNTIL_BACKWARD if self.saves and (weight.pinned or self.detaches) else ""


@frozen
class Leaf:
    """A module that has weights, or may gather some: by its path in the model."""

    path: str
    weights: tuple[Weight, ...] = ()
    whole: bool = False


@frozen
class Checkpoints:
    """Whether layers run again before their backward, and whether a graph within the graph records that (reentrant).

    With `keeps` what they gather as they run again stays until its backward. Where they are `inside` a layer runs again
    without its own hooks: what is called then is what is in it.
    """

    recomputes: bool = False
    reentrant: bool = False
    keeps: bool = False
    inside: bool = False


NO_CHECKPOINTS = Checkpoints()

Model = tuple[Sequence[Leaf], Sequence[Sequence[Leaf]], Sequence[Leaf]]
"""What runs before the layers, the layers, and what runs after them."""


def visits(model: Model, checkpoints: Checkpoints) -> Iterator[Visit]:
    """One step: forward, and backward in reverse; a checkpointed layer runs again before its backward."""
    before, layers, after = model
    end = len(layers) - 1
    entered: list[str] = []
    yield from forward(before, entered, "")
    for index, layer in enumerate(layers):
        yield from forward(layer, entered, LAST if index == end else "", checkpoints)
    yield from forward(after, entered, LOGITS)
    entered = []
    yield from _through(after[::-1], entered, Visit(place=LOSS, back=True))
    for index in range(end, -1, -1):
        place = {end: LAST_BACK, 0: FIRST_BACK}.get(index, "")
        yield from layer_back((layers[index], layers[index][::-1]), entered, place, checkpoints)
    yield from embedding_back(before, entered, EMBEDDING)


def layer_back(
    both: tuple[Sequence[Leaf], Sequence[Leaf]], entered: list[str], place: str, checkpoints: Checkpoints
) -> Iterator[Visit]:
    """A layer's backward, of its modules in forward and in backward order.

    Before it the layer runs again: as its own backward begins, or as its last module asks for its input.
    """
    layer, reverse = both
    turned = list(_through(reverse, entered, Visit(place=place, back=True)))
    if not checkpoints.recomputes:
        yield from turned
        return
    first = 1 if checkpoints.reentrant else next((at for at, visit in enumerate(turned) if visit.weights), 0) + 1
    for visit in turned[:first]:
        yield replace(visit, kept=frozenset(weight.name for weight in visit.weights))
    again = Visit(place=place, saves=True, detaches=not checkpoints.reentrant)
    around = [parent for leaf in layer[:1] for parent in _parents(leaf.path)]
    for visit in _through(layer, around if checkpoints.inside else around[:-1], again):
        stay = frozenset(weight.name for weight in visit.weights) if checkpoints.keeps else visit.kept
        yield replace(visit, kept=stay)
    if first <= len(turned):
        yield replace(turned[first - 1], ends=True)
    yield from turned[first:]


def forward(
    leaves: Sequence[Leaf], entered: list[str], place: str, checkpoints: Checkpoints = NO_CHECKPOINTS
) -> Iterator[Visit]:
    """Modules of a forward pass."""
    recomputes = checkpoints.recomputes
    records = not (recomputes and checkpoints.reentrant)
    yield from _through(leaves, entered, Visit(place=place, records=records, saves=not recomputes))


def backward(leaves: Sequence[Leaf], entered: list[str], place: str) -> Iterator[Visit]:
    """The same modules in reverse."""
    yield from _through(leaves[::-1], entered, Visit(place=place, back=True))


def embedding_back(leaves: Sequence[Leaf], entered: list[str], place: str) -> Iterator[Visit]:
    """The same of what embeds ids: no hook says when its backward is done, for ids have no gradients."""
    for visit in backward(leaves, entered, place):
        yield replace(visit, kept=frozenset(weight.name for weight in visit.weights))


def _through(leaves: Sequence[Leaf], entered: list[str], like: Visit) -> Iterator[Visit]:
    """Each with those around it that were not entered yet; `entered` are those in which the pass is."""
    last = {weight.name: at for at, leaf in enumerate(leaves) for weight in leaf.weights}
    for at, leaf in enumerate(leaves):
        parents = _parents(leaf.path)
        shared = next((n for n, pair in enumerate(zip(parents, entered, strict=False)) if pair[0] != pair[1]), None)
        depth = min(len(parents), len(entered)) if shared is None else shared
        yield from (replace(like, path=parent) for parent in parents[depth:])
        entered[:] = [*parents, leaf.path]
        kept = frozenset(weight.name for weight in leaf.weights if last[weight.name] > at)
        yield replace(like, weights=leaf.weights, kept=kept, path=leaf.path, whole=leaf.whole)


def _parents(path: str) -> list[str]:
    """The modules around one, from outside in, without lists of modules: those are never called."""
    parts = path.split(".")
    return [".".join(parts[:at]) for at in range(len(parts)) if not parts[at].isdecimal()]


def elements_inside(order: Sequence[Visit]) -> Counter[str]:
    """The elements of all weights in each module, by its path; all of the model's in that of the empty path."""
    found: Counter[str] = Counter()
    weights = {weight.name: weight.elements for visit in order for weight in visit.weights}
    for name, elements in weights.items():
        parts = name.split(".")
        found.update({".".join(parts[:at]): elements for at in range(len(parts))})
    return found
