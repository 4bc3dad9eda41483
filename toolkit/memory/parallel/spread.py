"""What FSDP adds to the moments of a step, in bytes: gathered units, and gradients before they are shared out.

A unit is gathered before its forward and again before its backward, and freed after each; the root stays gathered from
the start of forward to the end of backward. Counts of live tensors follow the order of the calls, not of the streams.
Source: torch/distributed/fsdp/_runtime_utils.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.parallel.sharing import Step, placed
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING, NEW_GRADIENT

GATHERED = "gathered_parameters"
FLAT = "flat_gradient"
MAX_IN_FLIGHT = 1
"""Layers that were let go of and whose blocks may not be free as another is gathered.

Of two that wait the older is waited for first (_FreeEventQueue in _limiter_utils.py, _unshard in _runtime_utils.py).
"""
CHECKPOINTS = "layer_inputs"
STREAM = "residual_stream"


@frozen
class Spread:
    """How FSDP shares a model: bytes of the root and of layers as gathered, and of a GPU's part of gradients.

    `prefetches`: while a layer is in backward the next is gathered already. `trains`: the weights have gradients, those
    of the root where `root_trains`. `whole` are the bytes of all gradients where they are shared out after the last
    micro-batch, else 0, with that of an `output` weight of its own; `earlier` those of a GPU's part of all where every
    micro-batch's are, and there are several.

    `retains`: the hook that frees a frozen layer once its input has a gradient (register_multi_grad_hook) refers to the
    leaf that a reentrant checkpoint around the unit made of its input. So input and gradient stay until all is done.

    Where layers are not freed after their forward, `stays` are the bytes of all as gathered (SHARD_GRAD_OP).

    `beside` are the gradients of what every layer has outside of its unit, of which there are `beside_layers`.

    An `embedding` of its own is gathered for its forward and its backward, and freed after each; `embedding_gradient`
    is a GPU's part of its gradient.
    """

    root: int
    first: int
    layer: int
    prefetches: bool
    trains: bool
    layer_gradients: int
    first_gradient: int
    whole: int
    retains: bool
    earlier: int = 0
    root_trains: bool = True
    output: int = 0
    stays: int = 0
    beside: int = 0
    beside_layers: int = 0
    embedding: int = 0
    embedding_gradient: int = 0

    @property
    def in_flight(self) -> int:
        """Bytes of freed units whose blocks are not free yet: so many may be waited for (_limiter_utils.py)."""
        return MAX_IN_FLIGHT * self.layer

    @property
    def streams(self) -> tuple[str, ...]:
        """Units are gathered on the stream that unshards."""
        return (GATHERED,)

    def made(self, gradients: int) -> int:
        """Those that stay: what is shared out before is counted here."""
        return gradients

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The moments of the forward pass with what is gathered then."""
        if self.embedding:
            rows = {GATHERED: self.root + self.embedding, STREAM: step.hidden}
            yield Stretch("embedding", {**rows, GRADIENTS: self.whole or self.earlier})
        yield from gathering_forward(self, stretches)

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The moments of backward with what is gathered then, and whole gradients."""
        return gathering_backward(self, step, stretches)

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The optimizer's step, with a GPU's part of the gradients."""
        yield Stretch("step", {GRADIENTS: gradients})


def gathering_forward(spread: Spread, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The moments of the forward pass with what is gathered then: the root, and the layer that runs."""
    kept = spread.embedding if spread.stays else 0
    for stretch in stretches:
        rows = {GATHERED: spread.root + kept + (spread.stays or (spread.layer if stretch.name == "last layer" else 0))}
        if spread.whole or spread.earlier:
            rows[GRADIENTS] = spread.whole or spread.earlier
        yield _with(stretch, rows)


def gathering_backward(spread: Spread, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The moments of backward with what is gathered then and, where weights are trained, with whole gradients.

    A unit's tensors are cut out of its flat parameter (torch.split), so their gradients wait for each other, and are
    then joined in a copy that is shared out. Those of the root wait for the embedding's.
    """
    ahead = spread.layer if spread.prefetches else 0
    kept = spread.embedding if spread.stays else 0
    gathered = {
        "loss": spread.root + kept + (spread.stays or ahead),
        "last layer": spread.root + kept + (spread.stays or spread.layer + (ahead if spread.trains else 0)),
        "first layer": spread.root + spread.first + (spread.embedding if ahead else kept),
        "embedding": spread.root + spread.embedding,
    }
    beside, apart = spread.beside * spread.beside_layers, 0 if step.tied else step.embedding
    done = {
        "loss": spread.earlier,
        "last layer": spread.earlier + step.head,
        "first layer": (spread.earlier or spread.layer_gradients - spread.first_gradient) + step.head,
        "embedding": (spread.earlier or spread.layer_gradients) + step.head + apart + beside,
    }
    done["first layer"] += beside - spread.beside
    for stretch in stretches:
        rows = {GATHERED: placed(gathered, stretch, "FSDP")}
        if spread.whole:
            rows[GRADIENTS] = spread.whole
            if stretch.name != "loss":  # it is added to the earlier ones with the embedding's
                rows[NEW_GRADIENT] = stretch.throughout.get(NEW_GRADIENT, 0) + spread.output
        elif spread.trains:
            rows[GRADIENTS] = done[stretch.name]
        else:  # whole adapters of few layers may be more than a GPU's part of all
            rows[GRADIENTS] = max(0, stretch.throughout.get(GRADIENTS, 0))
        if spread.retains and stretch.name in ("first layer", "embedding"):
            rows |= _retained(stretch, step)
        shown = _with(stretch, rows)
        yield shown
        if spread.trains and stretch.name != "loss" and (spread.root_trains or stretch.name != "embedding"):
            yield _joined(spread, step, shown)
            if spread.embedding and stretch.name == "embedding":
                yield _root_joined(spread, step, shown)
        elif ahead and stretch.name == "last layer":
            yield _prefetched(shown, ahead, step)
        if spread.trains and ahead and stretch.name == "first layer":
            second = _second(spread, step, shown)
            yield second
            yield _joined(spread, step, second)


def _retained(at: Stretch, step: Step) -> dict[str, int]:
    """What hooks of frozen layers keep: the inputs of all but the first, and their gradients.

    The gradient of the second layer's input is the one that comes into the first layer, which the layer counts itself.
    """
    known = step.hidden if at.name == "first layer" else 0
    gradients = at.throughout.get(INCOMING, 0) + step.inputs - known
    return {CHECKPOINTS: at.throughout.get(CHECKPOINTS, 0) + step.inputs, INCOMING: gradients}


def _joined(spread: Spread, step: Step, at: Stretch) -> Stretch:
    """The end of a unit's backward: the gradients of its tensors, and the joined copy of them."""
    last = spread.embedding or spread.root
    unit = {"last layer": spread.layer, "first layer": spread.first, "embedding": last}[at.name]
    rows = {**at.throughout, FLAT: unit, INCOMING: at.throughout.get(INCOMING, 0) + step.hidden}
    if at.name != "embedding":
        row = NEW_GRADIENT if spread.whole else GRADIENTS
        rows[row] = rows.get(row, 0) + unit + (0 if spread.whole else spread.beside)
    elif spread.whole:  # the root's pieces, of which the largest were counted as they came
        rows[NEW_GRADIENT] = spread.root + spread.embedding
    return Stretch(at.name, rows)


def _root_joined(spread: Spread, step: Step, at: Stretch) -> Stretch:
    """The same of the root after an embedding of its own, whose gradient is shared out by then."""
    rows = {**at.throughout, GATHERED: spread.root, FLAT: spread.root}
    if spread.whole:
        rows[NEW_GRADIENT] = spread.root
    else:
        rows[GRADIENTS] -= step.embedding - (0 if spread.earlier else spread.embedding_gradient)
    return Stretch(at.name, rows)


def _second(spread: Spread, step: Step, first: Stretch) -> Stretch:
    """The second layer, while the first is gathered already: the first has all it stored, and no gradient yet."""
    rows = dict(first.throughout)
    for row, size in step.first.items():
        rows[row] = rows.get(row, 0) + size
    rows[GATHERED] += spread.layer - spread.embedding
    rows[GRADIENTS] -= 0 if spread.whole or spread.earlier else spread.first_gradient + spread.beside
    return Stretch("first layer", rows, first.peaks)


def _prefetched(at: Stretch, ahead: int, step: Step) -> Stretch:
    """The end of a frozen layer's backward, when its first adapter gathers the layer before it.

    Adapters are units themselves, gathered one after the other. Alive are the gradients of the residual stream, of the
    normed input and of a projection.
    """
    rows = {**at.throughout, GATHERED: at.throughout[GATHERED] + ahead}
    rows[INCOMING] = rows.get(INCOMING, 0) + 3 * step.hidden
    return Stretch(at.name, rows)


def _with(stretch: Stretch, rows: dict[str, int]) -> Stretch:
    return replace(stretch, throughout={**stretch.throughout, **rows})
