"""A model shared out among GPUs as the first of them holds it, in a process group without processes.

FSDP2 and tensor parallelism run the code of torch, accelerate and transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from toolkit.memory.trace.build import DTYPES
from toolkit.memory.trace.recorder import Recorder
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.refused import FSDP2, SHARES, TENSOR
from toolkit.memory.trace.several_gpus.replicated import replicates
from toolkit.memory.trace.stand_ins.operators import standing_in
from toolkit.spec.settings.setting import Setting

_SHARD = "torch.distributed.fsdp._fully_shard"
_AXIS = "shard"


def shards(setting: Setting) -> bool:
    """Whether a setting's parameters are shared out among GPUs."""
    return setting.parallel.strategy in SHARES


@contextmanager
def first_rank(setting: Setting, recorder: Recorder) -> Iterator[DeviceMesh | None]:
    """Makes this process the first of as many as a setting has GPUs, which it yields; None where each has a whole copy.

    The process group answers every collective at once and moves nothing.
    """
    if not shards(setting) and not replicates(setting):
        yield None
        return
    if dist.is_initialized():
        raise UnsupportedTrace("this process already belongs to a group of processes")
    store = import_module("torch.testing._internal.distributed.fake_pg").FakeStore()
    dist.init_process_group("fake", rank=0, world_size=setting.parallel.gpus, store=store)
    try:
        if not shards(setting):
            yield None
            return
        with _shards_on_meta(recorder):
            yield init_device_mesh("cpu", (setting.parallel.gpus,), mesh_dim_names=(_AXIS,))
    finally:
        dist.destroy_process_group()


@contextmanager
def _shards_on_meta(recorder: Recorder) -> Iterator[None]:
    """Lets FSDP work on meta tensors, and shows what it frees and gathers.

    It makes the storage of what was gathered empty, and later gives it back its size, which no operator shows. What a
    collective of split matrices gives is there at once: what waits for it would make a second tensor on meta.
    """

    def alloc(tensor: torch.Tensor) -> None:
        recorder.resized(tensor.untyped_storage(), tensor.numel() * tensor.itemsize)

    def free(tensor: torch.Tensor) -> None:
        recorder.resized(tensor.untyped_storage(), 0)

    functional: Any = import_module("torch.distributed._functional_collectives")
    with ExitStack() as entered:
        for owner, name, stand_in in (
            (functional, "_maybe_wrap_tensor", lambda tensor: tensor),
            (import_module(f"{_SHARD}._fully_shard"), "_get_device_from_mesh", lambda _: torch.device("meta")),
            (import_module(f"{_SHARD}._fsdp_param_group").FSDPParamGroup, "_validate_no_meta_params", lambda _: None),
            (import_module(f"{_SHARD}._fsdp_param"), "alloc_storage", alloc),
            (import_module(f"{_SHARD}._fsdp_param"), "free_storage", free),
            (torch, "meta", recorder.streams),
            (torch.accelerator, "current_stream", lambda *_: recorder.streams.current_stream()),
            *_unread(),
        ):
            entered.enter_context(standing_in(owner, name, stand_in))
        yield


def _unread() -> Iterator[tuple[Any, str, Any]]:
    """What bitsandbytes writes of 4-bit weights into a model's state has values in it, which accelerate asks for."""
    try:
        state = import_module("bitsandbytes.functional").QuantState
    except ImportError:
        return
    yield state, "as_dict", lambda *_, **__: {}


def share_out(model: nn.Module, setting: Setting, mesh: DeviceMesh) -> nn.Module:
    """The model with its parameters sharded. Raises UnsupportedTrace."""
    if setting.parallel.strategy == TENSOR:
        return _by_plan(model, setting, mesh)
    if setting.stack.trainer == "plain":
        return _by_layer(model, setting, mesh)
    return _by_accelerate(model, setting, mesh)


def _syncs_last(setting: Setting) -> bool:
    return setting.parallel.strategy == FSDP2 and setting.stack.trainer != "plain"


def different_passes(setting: Setting) -> int:
    """How many micro-batches differ: the first makes gradients, the next adds to them; the last may share them out."""
    return 2 + _syncs_last(setting)


def sync_last(setting: Setting, model: nn.Module, *, last: bool) -> None:
    """Lets a model reduce the gradients of the last micro-batch alone, as accelerate's no_sync does."""
    shared: Any = model
    if _syncs_last(setting):
        shared.set_requires_gradient_sync(last)
    elif replicates(setting) and setting.stack.trainer != "plain":
        shared.require_backward_grad_sync = last  # as DDP's own no_sync


def _by_plan(model: nn.Module, setting: Setting, mesh: DeviceMesh) -> nn.Module:
    """Matrices split by the plan that transformers has for a model."""
    try:
        from transformers.distributed import DistributedConfig
        from transformers.distributed.tensor_parallel import apply_tensor_parallelism

        plans = model._resolve_parallel_plans
    except (AttributeError, ImportError) as error:
        raise UnsupportedTrace(f"this release of transformers splits models in another way: {error}") from error
    _untie(model)
    try:
        plan, *_ = plans(DistributedConfig(tp_size=setting.parallel.gpus))
        split: nn.Module = apply_tensor_parallelism(model, mesh, plan)
    except ValueError as error:
        raise UnsupportedTrace(f"transformers does not split this: {error}") from error
    split.tie_weights()
    return split


def _untie(model: nn.Module) -> None:
    """Gives a head that shares the embedding's matrix one of its own: transformers splits first and ties then."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is embedding.weight:
        head.weight = nn.Parameter(torch.empty_like(head.weight), requires_grad=head.weight.requires_grad)


def _by_layer(model: nn.Module, setting: Setting, mesh: DeviceMesh) -> nn.Module:
    """fully_shard on each layer and then on the rest, as torch's documentation does."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(param_dtype=DTYPES[setting.compute] if setting.amp else None)
    frees = setting.parallel.reshard_after_forward
    names = set(getattr(model, "_no_split_modules", None) or ())
    if not names:
        raise UnsupportedTrace("transformers names no layers of this model that a loop could shard")
    inside: set[nn.Module] = set()
    for module in model.modules():  # from outside in
        if type(module).__name__ in names and module not in inside:
            inside.update(module.modules())
            fully_shard(module, mesh=mesh, mp_policy=policy, reshard_after_forward=frees)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model


def _by_accelerate(model: nn.Module, setting: Setting, mesh: DeviceMesh) -> nn.Module:
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        reshard_after_forward=setting.parallel.reshard_after_forward,
        auto_wrap_policy="transformer_based_wrap",
        cpu_ram_efficient_loading=False,
    )
    mixed = setting.compute if setting.amp and setting.compute != "fp32" else "no"
    if mixed != "no":
        plugin.set_mixed_precision(mixed)
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=mesh,
        parallelism_config=SimpleNamespace(fsdp_dim_names=(_AXIS,)),
        mixed_precision=mixed,
        is_main_process=False,
        device=torch.device("meta"),
    )
    try:
        shared: nn.Module = fsdp2_prepare_model(accelerator, model)
    except RuntimeError as error:  # of a parameter that two units would have
        raise UnsupportedTrace(f"accelerate does not share this model out: {error}") from error
    return shared


def refuse_unrun(model: nn.Module, setting: Setting) -> None:
    """Raises UnsupportedTrace for what accelerate has sharded and torch does not run, as its first forward would say.

    Asked of a model without storage alone: one that is measured has its weights put in only after it was sharded.
    """
    if not _syncs_last(setting):
        return
    shared: Any = model
    try:
        shared._get_fsdp_state()._lazy_init()
    except ValueError as error:
        raise UnsupportedTrace(f"torch does not run what accelerate sharded: {error}") from error
