"""The order in which ZeRO 3 goes through a decoder after an encoder: their embedding is asked for by each, twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toolkit.memory.architecture import ModuleKind
from toolkit.memory.parallel import zero_visits as places
from toolkit.memory.parallel.two_stacks import BETWEEN, ENCODER
from toolkit.memory.parallel.units import ROOT, Key, in_order
from toolkit.memory.parallel.zero_silent import as_run, with_silent
from toolkit.memory.parallel.zero_visits import (
    Checkpoints,
    Leaf,
    Visit,
    Weight,
    backward,
    embedding_back,
    forward,
    layer_back,
)
from toolkit.memory.programs.stretch import Stretch

LOOKED_AT = ".wo"
"""T5's feed-forward (DenseReluDense) looks at the dtype of this weight before it runs, which gathers it for all of its
time (transformers models/t5/modeling_t5.py; parameter_offload.py, ZeROOrderedDict)."""


def stack_visits(
    leaves: Sequence[tuple[ModuleKind, Key, Leaf]], checkpoints: Checkpoints, family: str, tied: str
) -> Iterator[Visit]:
    """One step through all modules, forward and back; checkpointed layers run again.

    `tied` is the name of an output whose weight is that of the embedding, empty where there is none.
    """
    layers: dict[Key, list[Leaf]] = {}
    for _, key, leaf in leaves:
        if key != ROOT:
            layers.setdefault(key, []).append(leaf)
    order = sorted(layers, key=in_order)
    decodes = next(at for at, (stack, _) in enumerate(order) if ENCODER not in stack)
    layers = {key: as_run(layer) for key, layer in layers.items()}
    root = [(kind, leaf) for kind, key, leaf in leaves if key == ROOT]
    words = _words(root)
    stacks = [stack.rpartition(".")[0].rpartition(".")[0] for stack, _ in (order[0], order[-1])]
    for stack, last in zip(stacks, (order[decodes - 1], order[-1]), strict=True):
        layers[last] += [leaf for _, leaf in root if _closes(leaf.path, stack)]
    layers = {key: list(with_silent(layer, family)) for key, layer in layers.items()}
    inputs = [_inputs(stack, root, words, family) for stack in stacks]
    head = [leaf for kind, leaf in root if kind is ModuleKind.HEAD and leaf.path != tied]
    head += [Leaf(tied, words)] if tied else []
    entered: list[str] = []
    for place, key in enumerate(order):
        if place in (0, decodes):
            yield from forward(inputs[place == decodes], entered, "")
        yield from forward(_looking(layers[key]), entered, in_turn(place, back=False), checkpoints)
    yield from forward(head, entered, places.LOGITS)
    entered = []
    yield from backward(head, entered, places.LOSS)
    for place in reversed(range(len(order))):
        both = _looking(layers[order[place]]), _looking_back(layers[order[place]])
        yield from layer_back(both, entered, in_turn(place, back=True), checkpoints)
        if place in (0, decodes):
            at = BETWEEN if place else places.EMBEDDING
            yield from embedding_back(inputs[place == decodes], entered, at)


def _words(root: Sequence[tuple[ModuleKind, Leaf]]) -> tuple[Weight, ...]:
    """The one matrix of embeddings."""
    tables = [leaf for kind, leaf in root if kind is ModuleKind.EMBEDDING and "embed_positions" not in leaf.path]
    return tuple(weight for leaf in tables for weight in leaf.weights)[:1]


def _inputs(stack: str, root: Sequence[tuple[ModuleKind, Leaf]], words: tuple[Weight, ...], family: str) -> list[Leaf]:
    """What embeds the tokens of one stack: words, positions where it has a table, and a norm."""
    rest = [leaf for kind, leaf in root if leaf.path.startswith(f"{stack}.") and not leaf.path.endswith("embed_tokens")]
    early = [leaf for leaf in rest if not _closes(leaf.path, stack)]
    return list(with_silent([Leaf(f"{stack}.embed_tokens", words), *early], family))


def _closes(path: str, stack: str) -> bool:
    """Whether a module is the norm after all layers of a stack."""
    return path in (f"{stack}.final_layer_norm", f"{stack}.layer_norm")


def _looking(layer: Sequence[Leaf]) -> list[Leaf]:
    """A layer's modules, with the one that looks at a weight of another before it runs."""
    found: list[Leaf] = []
    for leaf in layer:
        around = leaf.path.rpartition(".")[0]
        looked_at = _looked_at(layer, around)
        if looked_at and all(one.path != around for one in found):
            found.append(Leaf(around, looked_at))
        found.append(leaf)
    return found


def _looking_back(layer: Sequence[Leaf]) -> list[Leaf]:
    """The same in reverse: that weight is gathered first, and let go of with the last module beside it."""
    found: list[Leaf] = []
    for at, leaf in reversed(list(enumerate(layer))):
        around = leaf.path.rpartition(".")[0]
        looked_at = _looked_at(layer, around)
        if looked_at and all(one.path != around for one in found):
            found.append(Leaf(around, looked_at))
        ends = not any(one.path.startswith(f"{around}.") for one in layer[:at])
        found.append(Leaf(leaf.path, leaf.weights + looked_at) if looked_at and ends else leaf)
    return found


def _looked_at(layer: Sequence[Leaf], around: str) -> tuple[Weight, ...]:
    return next((one.weights for one in layer if one.path == around + LOOKED_AT), ())


def in_turn(place: int, *, back: bool) -> str:
    """The name of a layer's place in a step."""
    return f"layer {place} {'backward' if back else 'forward'}"


def place_of(stretch: Stretch, *, back: bool) -> str | None:
    """The name of a stretch's place in a step of two stacks; None in that of one."""
    if stretch.place is None:
        return None
    return BETWEEN if stretch.name == BETWEEN else in_turn(stretch.place, back=back)
