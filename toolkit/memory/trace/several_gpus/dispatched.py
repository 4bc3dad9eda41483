"""A model whose layers lie on several GPUs, one after the other, as `device_map="auto"` puts them and trains them.

The map is made by transformers, hooks by accelerate (dispatch_model); every tensor is on torch's meta device all the
same, and the GPU on which it would be is kept beside its allocation: that of what it was made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch
from packaging.version import Version
from torch import nn
from torch.overrides import TorchFunctionMode

from toolkit.memory.parallel.placement import OWN_PLACEMENT
from toolkit.memory.trace.build import DTYPES
from toolkit.memory.trace.recorder import Recorder
from toolkit.memory.trace.refused import PIPELINE
from toolkit.memory.trace.stand_ins.operators import standing_in
from toolkit.memory.weights.linear_storage import FOUR_BIT, QUANTIZED
from toolkit.spec.settings.setting import Setting

ROOM = 1 << 50
"""Bytes that are free on each GPU: layers are placed as on cards with room for a balanced share."""

FREE = 0.9
"""The share of it that bitsandbytes' quantizers use."""


def dispatches(setting: Setting) -> bool:
    """Whether layers lie on several GPUs that one process has."""
    parallel = setting.parallel
    return parallel.strategy == PIPELINE and parallel.gpus > 1 and parallel.schedule is None


@contextmanager
def moving(setting: Setting, recorder: Recorder) -> Iterator[Moves | None]:
    """Lets what asks for another GPU get a tensor of its own there, and its gradient one on the way back."""
    if not dispatches(setting):
        yield None
        return
    hooks: Any = import_module("accelerate.hooks")
    models: Any = import_module("accelerate.big_modeling")

    def first_gpu(inputs: Any) -> torch.device:
        return torch.device("cuda", recorder.gpu_of(torch.utils._pytree.tree_leaves(inputs)))

    with ExitStack() as entered:
        for owner, name, stand_in in (
            (hooks, "find_device", first_gpu),
            (hooks, "set_module_tensor_to_device", lambda *_, **__: None),
            (models, "check_cuda_p2p_ib_support", lambda: True),
        ):
            entered.enter_context(standing_in(owner, name, stand_in))
        if setting.weights in FOUR_BIT:  # accelerate asks whether modules have a state, not for values in it
            packed: Any = import_module("bitsandbytes.functional")
            entered.enter_context(standing_in(packed.QuantState, "as_dict", lambda *_, **__: {}))
        moves = Moves(recorder)
        entered.enter_context(moves)
        yield moves


def dispatch(model: nn.Module, setting: Setting, moves: Moves | None) -> nn.Module:
    """The model with its parts on their GPUs, if there are several. Raises UnsupportedTrace."""
    if moves is None:
        return model
    from accelerate import dispatch_model

    recorder, head = moves.recorder, model.get_output_embeddings()
    moves.head = getattr(head, "weight", None)
    where = _map_of(model, setting)
    recorder.map_modules(where)
    settle(model, recorder)
    if len(set(where.values())) == 1:  # dispatch_model moves it there, and hooks nothing
        return model
    skipped = getattr(model, "_skip_keys_device_placement", None)
    placed: nn.Module = dispatch_model(model, device_map=where, skip_keys=skipped)
    return placed


def settle(model: nn.Module, recorder: Recorder) -> None:
    """Puts every parameter and buffer where its module runs, those of adapters beside what they adapt."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        for part in (tensor, *_beside(tensor)):
            recorder.put(part, recorder.place_of(name))


def _beside(packed: torch.Tensor) -> Iterator[torch.Tensor]:
    """The scales of packed weights, which are neither parameters nor buffers."""
    columns = getattr(packed, "SCB", None)
    if isinstance(columns, torch.Tensor):
        yield columns
    states = [getattr(packed, "quant_state", None)]
    while states:
        state = states.pop()
        for value in vars(state).values() if state is not None else ():
            if isinstance(value, torch.Tensor):
                yield value
            elif hasattr(value, "absmax"):  # of nested scales
                states.append(value)


def _map_of(model: nn.Module, setting: Setting) -> dict[str, int]:
    """The map that transformers makes when it loads a model with `device_map="auto"` (_get_device_map)."""
    free = dict.fromkeys(range(setting.parallel.gpus), ROOM)
    makes_own = Version(version("transformers")) >= OWN_PLACEMENT
    own: Any = import_module("transformers.integrations.accelerate" if makes_own else "accelerate.utils")
    stored = {} if makes_own else {"dtype": DTYPES[setting.compute]}
    kept = model._no_split_modules
    room = own.get_balanced_memory(model, free, kept, **stored)
    if setting.weights in QUANTIZED:  # quantizers/quantizer_bnb_4bit.py, adjust_max_memory
        room = {gpu: size * FREE for gpu, size in room.items()}
    found = own.infer_auto_device_map(model, room, kept, **stored)
    return {name: int(gpu) for name, gpu in found.items()}


_DEVICE = torch.Tensor.device.__get__


class Moves(TorchFunctionMode):
    """Sees what is asked to be on a GPU by its number.

    The weight of the `head` says its GPU when it is asked: TRL brings hidden states and labels there by itself.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self.head: object = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func == _DEVICE and args[0] is self.head and self._goes_forward():
            return torch.device("cuda", self.recorder.gpu_of(args))
        if func is torch.Tensor.to and len(args) > 1 and (gpu := _gpu(args[1])) is not None:
            tensor = args[0]
            return tensor if self.recorder.gpu_of([tensor]) == gpu else _Move.apply(tensor, gpu, self.recorder)
        if func is torch._C._nn._parse_to:  # of a module, as caches were in some releases: one without tensors
            return func("meta")
        return func(*args, **kwargs)

    def _goes_forward(self) -> bool:
        """Whether a graph is recorded: kernels, optimizers and ways back make tensors on the device that they read."""
        back = self.recorder.paths.optimizing or torch._C._current_autograd_node() is not None
        return torch.is_grad_enabled() and not back


def _gpu(device: object) -> int | None:
    if isinstance(device, torch.device):
        return device.index if device.type == "cuda" else None
    return device if isinstance(device, int) and not isinstance(device, bool) else None


class _Move(torch.autograd.Function):
    """A copy on another GPU; autograd keeps nothing of it but where the gradient goes (ToCopyBackward)."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, gpu: int, recorder: Recorder) -> torch.Tensor:
        ctx.back, ctx.recorder = recorder.gpu_of([tensor]), recorder
        with recorder.on(gpu):
            return torch.empty_like(tensor, memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        with ctx.recorder.on(ctx.back):
            return torch.empty_like(gradients[0]), None, None
