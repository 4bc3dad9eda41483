"""The tensors that a peft method adds to a model, and what they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, Module
from toolkit.memory.libraries.versions import older
from toolkit.memory.size import BYTES
from toolkit.spec.settings.setting import Setting


@frozen
class Added:
    """Tensors of one shape: how many there are, and whether they are trained or frozen.

    Frozen ones have `item` bytes per element. `stays` marks a buffer that stays in main memory, where it was made,
    until the whole model is moved. `embedding`: it is the weight of an embedding. `view_of` is the shape of a tensor of
    which it is a view if made on the GPU, and whose storage it keeps alive. Its gradient may be `shared`: one of so
    many parts of a tensor.
    """

    shape: tuple[int, ...]
    count: int = 1
    trained: bool = True
    item: int = 0
    stays: bool = False
    embedding: bool = False
    view_of: tuple[int, ...] = ()
    shared: int = 1

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
    """What a method adapts: a model, the modules that its targets name, and the options of its config.

    `setting` gives the dtypes of weights and of what is added, and peft's release.
    """

    setting: Setting
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
    def item(self) -> int:
        """The bytes per element of what is added, and of its buffers that peft casts as well."""
        assert self.setting.peft is not None
        return BYTES[self.setting.peft.dtype]

    def before(self, release: Version) -> bool:
        """Whether peft is older than a release."""
        return older(self.setting, "peft", release)

    @property
    def widest(self) -> tuple[int, int]:
        """The largest number of outputs and of inputs among the modules."""
        return max(m.out_features for m in self.modules), max(m.in_features for m in self.modules)


Adds = Callable[[Base], Iterator[Added]]
"""A method's rule: what it adds; raises UnsupportedRow for sizes that peft refuses or no rule covers."""
