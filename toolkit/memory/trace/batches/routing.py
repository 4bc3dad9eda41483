"""Experts that each run over their own tokens: how many those are goes by values, which a trace does not have.

Before transformers 5, a mixture of experts asks a one-hot tensor of the chosen experts for each expert's tokens
(models/mixtral/modeling_mixtral.py, MixtralSparseMoeBlock). Here every expert is given as many as every other, which
is what the auxiliary loss of such models trains them for; their sum, which is what is kept for backward, is the same
however they are spread.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from toolkit.memory.timeline.timeline import Allocation

NONZERO = "aten::nonzero"
IN_LAYER = re.compile(r"\.\d+\.")
EVENLY = "tokens spread evenly over experts"
"""What a record says of a trace that had to spread tokens."""


class Routing:
    """Which tensors of a run are one-hot, with how many classes, and which are positions of their ones."""

    def __init__(self) -> None:
        self._classes: dict[int, int] = {}
        self._positions: dict[int, int] = {}

    def one_hot(self, chosen: torch.Tensor, num_classes: int = -1) -> torch.Tensor:
        """A one-hot tensor as a GPU makes it (aten/src/ATen/native/Onehot.cpp): zeros, and ones scattered into it.

        The number of classes has to be said: to count them would be to read values.
        """
        out = torch.zeros((*chosen.shape, num_classes), dtype=torch.long, device=chosen.device)
        out.scatter_(-1, chosen.unsqueeze(-1), 1)
        _keep(self._classes, out, num_classes)
        return out

    def nonzero(self, values: torch.Tensor) -> torch.Tensor | None:
        """The positions of the ones of one class, where classes are equally many; None for any other tensor."""
        classes = self._classes.get(values.untyped_storage()._cdata)
        if classes is None or values.device.type != "meta" or classes in values.shape:
            return None
        whole, more = divmod(values.numel(), classes)
        count = whole + (values.storage_offset() % classes < more)
        found = torch.empty((count, values.dim()), dtype=torch.long, device="meta")
        _keep(self._positions, found, count)
        return found

    @contextmanager
    def read(self) -> Iterator[None]:
        """Until 4.40 positions are read as lists, which then index a tensor: any list of their length does."""
        before = torch.Tensor.tolist
        positions = self._positions

        def tolist(tensor: torch.Tensor) -> Any:
            known = tensor.device.type == "meta" and tensor.untyped_storage()._cdata in positions
            return [0] * tensor.numel() if known else before(tensor)

        torch.Tensor.tolist = tolist
        try:
            yield
        finally:
            torch.Tensor.tolist = before


def spreads(allocations: Iterable[Allocation]) -> bool:
    """Whether tokens were spread: a model's layer asked where something is not zero."""
    return any(one.operation == NONZERO and IN_LAYER.search(one.module) for one in allocations)


def _keep(known: dict[int, int], tensor: torch.Tensor, value: int) -> None:
    """Notes a tensor by its storage, for as long as that lives."""
    storage = tensor.untyped_storage()
    key = storage._cdata
    known[key] = value
    weakref.finalize(storage, known.pop, key, None)
