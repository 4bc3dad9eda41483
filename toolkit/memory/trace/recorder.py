"""Sees every storage that torch makes, and when it goes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from toolkit.facts.multiprocessors import Multiprocessors
from toolkit.memory.ledger import Category
from toolkit.memory.timeline.timeline import WORKSPACE, Allocation, Stage, Staged, Timeline
from toolkit.memory.trace.batches.routing import NONZERO, Routing
from toolkit.memory.trace.modules import ModulePaths, unwrapped
from toolkit.memory.trace.stand_ins.eight_bit import SEQUENCES
from toolkit.memory.trace.stand_ins.kernels import as_made, multiplies, scratch_of, sum_of
from toolkit.memory.trace.stand_ins.operators import IN_PLACE, SELECTIONS, selects, stand_in_for
from toolkit.memory.trace.stand_ins.streams import Streams

RESIZED = "resize_"
"""The operation under which storages stand that were given back their size."""


class Recorder(TorchDispatchMode):
    """Writes the storages of meta tensors to a timeline as they are made and as their last reference goes.

    `workspace` is what cuBLAS takes on the GPU, in bytes, once for each thread that multiplies; on which
    `multiprocessors` partial sums are staged, None where that is not known. All is on one `gpu` of several, unless
    modules are mapped to others.
    """

    def __init__(self, workspace: int, multiprocessors: Multiprocessors | None = None, *, gpu: int = 0) -> None:
        super().__init__()
        self.timeline = Timeline()
        self.paths = ModulePaths()
        self.streams = Streams()
        self.routing = Routing()
        self.selects_all = False  # whether masks that pick elements pick all of them
        self._workspace = workspace
        self._multiprocessors = multiprocessors
        self._has_workspace: set[tuple[bool, int]] = set()
        self._gpu = self._alone = gpu
        self._asked: int | None = None
        self._places: dict[str, int] = {}
        self._alive: dict[int, tuple[int, weakref.ref[torch.UntypedStorage]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operator; what it makes, and what its kernel takes meanwhile, goes to the timeline."""
        if any(kind is DTensor for kind in types):
            return NotImplemented  # a DTensor runs its operator on what this rank holds, which comes here again
        name = func.name()
        path, stage = self.paths.here()
        self._gpu = self._gpu_here((args, kwargs), path) if self._places else self._alone
        before, after = scratch_of(name, args, kwargs or {})
        taken = [self._scratch(size, name, path, stage) for size in before]
        if stage is Stage.BACKWARD and name == "aten::add.Tensor" and _engine_alone_holds(args):
            out = args[0].add_(args[1])
        elif name in SEQUENCES:
            with self:
                out = SEQUENCES[name](*args, **(kwargs or {}))
        elif self.selects_all and name in SELECTIONS and selects(args):
            with self:
                out = SELECTIONS[name](*args)
        elif stage is Stage.BACKWARD and name in IN_PLACE:
            out = IN_PLACE[name](*args, **(kwargs or {}))
        else:
            spread = self.routing.nonzero(args[0]) if name == NONZERO else None
            out = stand_in_for(name, func)(*args, **(kwargs or {})) if spread is None else spread
        for leaf in as_made(name, tree_leaves(out)):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == "meta":
                self._see(leaf, name, path, stage)
        if multiplies(name):  # results are there before cuBLAS is asked for (aten/src/ATen/native/cuda/Blas.cpp)
            self._take_workspace(forward=stage is Stage.FORWARD)
        taken += [self._scratch(size, name, path, stage) for size in after]
        taken += self._staged(name, args, path, stage)
        for index in taken:
            self.timeline.release(index)
        return out

    def index(self, tensor: torch.Tensor) -> int | None:
        """The allocation that holds a tensor, or this rank's part of it, if it was made while recording."""
        if isinstance(tensor, DTensor):
            tensor = tensor._local_tensor
        entry = self._alive.get(tensor.untyped_storage()._cdata)
        return entry[0] if entry else None

    def gpu_of(self, values: Iterable[object]) -> int:
        """The GPU of the first tensor that is known, the first GPU where none is."""
        for value in values:
            if isinstance(value, torch.Tensor) and (index := self.index(value)) is not None:
                return self.timeline.allocations[index].gpu
        return 0

    def put(self, tensor: torch.Tensor, gpu: int) -> None:
        """Says that a tensor has been on a GPU from the first."""
        if (index := self.index(tensor)) is not None:
            self.timeline.allocations[index] = replace(self.timeline.allocations[index], gpu=gpu)

    def map_modules(self, places: Mapping[str, int]) -> None:
        """Learns on which GPUs modules run, by their paths."""
        self._places = dict(places)

    @contextmanager
    def on(self, gpu: int) -> Iterator[None]:
        """Makes what is made meanwhile on a GPU, whatever it is made of."""
        before, self._asked = self._asked, gpu
        try:
            yield
        finally:
            self._asked = before

    def _gpu_here(self, inputs: Any, path: str) -> int:
        """The GPU of what an operator is given; of what is made of nothing, that of the module at work.

        Between modules, on the way back and in an optimizer, it is made beside what was looked at last.
        """
        if self._asked is not None:
            return self._asked
        given = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
        for leaf in sorted(given, key=lambda one: one.ndim == 0):  # numbers may lie elsewhere
            if (index := self.index(leaf)) is not None:
                return self.timeline.allocations[index].gpu
        between = self.paths.at_work and not unwrapped(path)
        return self._gpu if between else self.place_of(path)

    def place_of(self, path: str) -> int:
        """The GPU of a module or of what it has, by its path: the first GPU's where none is known."""
        path = unwrapped(path)
        there = [place for place in self._places if path == place or path.startswith(f"{place}.")]
        return self._places[max(there, key=len)] if there else 0

    @property
    def _stream(self) -> int:
        return self.streams.current_stream().number

    def resized(self, storage: torch.UntypedStorage, size: int) -> None:
        """A storage that grows from nothing, or is emptied while somebody keeps it."""
        key = storage._cdata
        entry = self._alive.pop(key, None)
        if entry is not None:
            self.timeline.release(entry[0])
        storage.resize_(size)
        if size:
            path, stage = self.paths.here()
            index = self.timeline.allocate(Allocation(size, RESIZED, path, stage, stream=self._stream))
            self._alive[key] = index, weakref.ref(storage, partial(self._gone, key, index))

    def has_run(self, *, forward: bool, backward: bool) -> None:
        """Begins with the workspaces that passes before in the same process have left."""
        for ran, is_forward in ((forward, True), (backward, False)):
            if ran:
                self._take_workspace(forward=is_forward)

    def _take_workspace(self, *, forward: bool) -> None:
        """One for the thread that runs forward, one for autograd's own, each when it first multiplies."""
        if (forward, self._gpu) not in self._has_workspace:
            self._has_workspace.add((forward, self._gpu))
            self.timeline.allocate(Allocation(self._workspace, WORKSPACE, "", gpu=self._gpu))

    def _staged(self, name: str, args: Sequence[Any], path: str, stage: Stage) -> list[int]:
        summed = sum_of(name, args)
        if summed is None or self._multiprocessors is None:
            return []
        staged = Staged(*summed, self._multiprocessors)
        return [self._scratch(staged.bytes, name, path, stage, staged)]

    def _scratch(self, size: int, name: str, path: str, stage: Stage, staged: Staged | None = None) -> int:
        made = Allocation(size, name, path, stage, scratch=True, stream=self._stream, gpu=self._gpu, staged=staged)
        return self.timeline.allocate(made)

    def _see(self, tensor: torch.Tensor, name: str, path: str, stage: Stage) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        made = Allocation(storage.nbytes(), name, path, stage, stream=self._stream, gpu=self._gpu)
        index = self.timeline.allocate(made)
        self._alive[key] = index, weakref.ref(storage, partial(self._gone, key, index))

    def _gone(self, key: int, index: int, _: object) -> None:
        if self._alive.get(key, (None,))[0] == index:
            del self._alive[key]
            self.timeline.release(index)


def note(recorder: Recorder, kinds: dict[int, Category], kind: Category, tensors: Iterable[object]) -> None:
    """Keeps what lasting tensors are, by the index of their allocation; whatever is no tensor is passed over."""
    for tensor in tensors:
        if isinstance(tensor, torch.Tensor) and (index := recorder.index(tensor)) is not None:
            kinds[index] = kind


ENGINE_HOLDS = 4
STORAGE_HOLDS = 2
"""References to a tensor and to its storage as seen from a dispatch mode, where only autograd's buffer holds them."""


def _engine_alone_holds(args: Sequence[Any]) -> bool:
    """Whether this adds one more gradient to one that nothing but autograd's engine holds.

    The engine adds such gradients in place (torch/csrc/autograd/input_buffer.cpp, can_accumulate_inplace), but not
    while a dispatch mode looks on; a GPU run has none.
    """
    if len(args) != 2 or not all(isinstance(part, torch.Tensor) for part in args):
        return False
    held, more = args
    return (
        held.shape == more.shape
        and held.dtype == more.dtype
        and held._use_count() == ENGINE_HOLDS
        and torch._C._storage_Use_Count(held.untyped_storage()._cdata) == STORAGE_HOLDS
    )
