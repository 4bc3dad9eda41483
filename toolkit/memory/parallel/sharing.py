"""What sharing a run among GPUs does to the moments of a step on one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Protocol, TypeVar

from toolkit.frozen import frozen
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.refusal import UnsupportedRow

Placed = TypeVar("Placed")


@frozen
class Step:
    """Bytes of a step: the residual stream, the gradients of the model's end and of the token embedding.

    `inputs` are the inputs of all layers but the first, as checkpoints keep them; `first` is what the first layer has
    stored, by row. `logits` are the gradient of the logits as the product with the output weight is given it, where a
    loss of all logits gives one.
    """

    hidden: int
    head: int
    embedding: int
    tied: bool
    inputs: int
    first: Mapping[str, int] = field(default_factory=dict)
    logits: int = 0


def placed(places: Mapping[str, Placed], stretch: Stretch, strategy: str) -> Placed:
    """What a strategy has at a stretch; raises UnsupportedRow for one that only models with an encoder beside have."""
    if stretch.name not in places:
        raise UnsupportedRow("parallel", f"no formula for the {stretch.name} under {strategy} yet")
    return places[stretch.name]


class Sharing(Protocol):
    """A way to share a step: it takes the moments of one GPU alone, and gives those of one among several."""

    def __hash__(self) -> int:
        """A value: what follows from it is kept."""

    @property
    def in_flight(self) -> int:
        """Bytes that were freed and whose blocks are not free yet."""

    @property
    def streams(self) -> tuple[str, ...]:
        """Rows of what is allocated on a stream of its own each, to which no other gives its freed blocks."""

    def made(self, gradients: int) -> int:
        """Bytes of the gradients that backward makes, where `gradients` stay until the optimizer's step."""

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The moments of the forward pass."""

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The moments of the backward pass."""

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The moments of the optimizer's step; `gradients` are the bytes of those that stay until then."""
