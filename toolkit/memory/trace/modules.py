"""Which module's code is running, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from toolkit.memory.timeline.timeline import Stage

COPY = "module"
WRAPPERS = ("base_model.model", "base_model")


def unwrapped(path: str) -> str:
    """A module's path as its model has it, without what DistributedDataParallel and peft put before."""
    if path.startswith(COPY):
        path = path[len(COPY) :].removeprefix(".")
    for wrapper in WRAPPERS:
        if path == wrapper:
            return ""
        if path.startswith(wrapper + "."):
            return path[len(wrapper) + 1 :]
    return path


class ModulePaths:
    """The path of the module that runs.

    Backward has no modules; its nodes carry the number under which forward made them (`sequence_nr`), and forward notes
    which numbers fell into which module.
    """

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._stack: list[tuple[str, int]] = []
        self._made_in: dict[int, str] = {}
        self.optimizing = False

    def name(self, model: torch.nn.Module, under: str = "") -> None:
        """Learns the paths of a model's modules, those of a second one `under` a name of its own."""
        self._names |= {id(module): path for path, module in model.named_modules(prefix=under)}

    def here(self) -> tuple[str, Stage]:
        """The path of the module at work, and the stage. Modules that run inside of backward are computed again.

        So is what records a graph there without a module: the code of a layer that a checkpoint calls past its hooks.
        """
        if self.optimizing:
            return "", Stage.STEP
        node = torch._C._current_autograd_node()
        if self._stack:
            return self._stack[-1][0], Stage.FORWARD if node is None else Stage.RECOMPUTATION
        if node is None:
            return "", Stage.FORWARD
        stage = Stage.RECOMPUTATION if torch.is_grad_enabled() else Stage.BACKWARD
        return self._made_in.get(node._sequence_nr(), ""), stage

    @property
    def at_work(self) -> bool:
        """Whether anything runs of a model, its way back or an optimizer, and not the loop around them."""
        return bool(self._stack) or self.optimizing or torch._C._current_autograd_node() is not None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Follows modules as they run."""
        enter = register_module_forward_pre_hook(self._enter)
        leave = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()
            self._stack.clear()

    def _enter(self, module: torch.nn.Module, _: Any) -> None:
        self._stack.append((self._names.get(id(module), ""), torch._C._autograd._get_sequence_nr()))

    def _leave(self, _module: torch.nn.Module, _args: Any, _result: Any) -> None:
        if not self._stack:
            return
        path, first = self._stack.pop()
        for number in range(first, torch._C._autograd._get_sequence_nr()):
            self._made_in.setdefault(number, path)
