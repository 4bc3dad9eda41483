"""Tensors that a method of peft adds to a model, and what they follow from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, Module


@frozen
class Added:
    """One form of tensor: its shape, how many there are, and whether it is trained, or held as it is made.

    What is held has `item` bytes an element. `stays` is a buffer that a method leaves where it was made, in main
    memory, until somebody moves the whole model. `embedding`: it is the weight of an embedding. `view_of` is the
    shape of a tensor of which it is a view, and whose storage it keeps, where it is made on the GPU.
    """

    shape: tuple[int, ...]
    count: int = 1
    trained: bool = True
    item: int = 0
    stays: bool = False
    embedding: bool = False
    view_of: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """The elements of all of them."""
        return self.count * prod(self.shape)

    @property
    def stored(self) -> int:
        """The elements of the storages of all of them where they are made on the GPU."""
        return self.count * prod(self.view_of or self.shape)


@frozen
class Base:
    """What a method is put on: a model, the modules that its targets name, and the options of its config."""

    architecture: Architecture
    modules: tuple[Module, ...]
    targets: tuple[str, ...]
    rank: int
    options: Mapping[str, object]

    def number(self, name: str) -> int:
        """An option that is a number."""
        value = self.options[name]
        assert isinstance(value, int)
        return value

    @property
    def widest(self) -> tuple[int, int]:
        """The most outputs and the most inputs of the modules."""
        return max(m.out_features for m in self.modules), max(m.in_features for m in self.modules)


Adds = Callable[[Base], Iterator[Added]]
"""What a method adds; raises UnsupportedRow for sizes that peft refuses or that no rule covers."""
