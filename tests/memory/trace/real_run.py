"""Training steps that really run, on a CPU, and what they ask torch's allocator for."""

from __future__ import annotations

import gc
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from toolkit.facts.models import ModelFacts
from toolkit.memory.packing import laid_out
from toolkit.spec.settings.setting import Setting

FORWARD = "forward begins"
BACKWARD = "backward begins"


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most bytes that live at once before the backward pass of a second step, and from there on."""

    forward: int
    backward: int


def real_peaks(setting: Setting, facts: ModelFacts) -> Peaks:
    """Two steps of plain SGD with eager attention, watched by torch's profiler; the peaks are of the second."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' words to their own users
        model = _model(setting, facts)
        if setting.parallel.gpus > 1:
            _share_out(model, setting)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(trained, 1e-6, foreach=False)
        there = sum(parameter.untyped_storage().nbytes() for parameter in _once(model))
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
            for _ in range(2):
                _step(setting, model, optimizer)
                gc.collect()
    events = watched.profiler.kineto_results.events()  # type: ignore[union-attr]  # there since it has run
    start, middle = (max(event.start_ns() for event in events if event.name() == mark) for mark in (FORWARD, BACKWARD))
    peaks = {True: 0, False: 0}
    for moment, change in sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"):
        there += change
        if moment > start:
            peaks[moment < middle] = max(peaks[moment < middle], there)
    return Peaks(peaks[True], peaks[False])


def _step(setting: Setting, model: Any, optimizer: Any) -> None:
    import torch

    low = torch.autocast("cpu", torch.bfloat16) if setting.amp else nullcontext()
    seen = laid_out(setting)
    ids = torch.zeros(seen.batch_size, seen.sequence_length, dtype=torch.long)
    labels = ids[:, 0] if setting.head == "sequence-classification" else ids.clone()
    with torch.profiler.record_function(FORWARD):
        pass
    given = {}
    if setting.padding:
        given["attention_mask"] = torch.ones_like(ids)
        given["attention_mask"][0, -1] = 0
    if setting.packing != "none":
        each = seen.sequence_length // seen.samples_per_row
        given["position_ids"] = (torch.arange(seen.sequence_length) % each).repeat(seen.batch_size, 1)
    with low:
        loss = model(input_ids=ids, labels=labels, **given).loss
    with torch.profiler.record_function(BACKWARD):
        pass
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _model(setting: Setting, facts: ModelFacts) -> Any:
    import peft
    import transformers
    from transformers import AutoConfig

    said = {key: value for key, value in facts.config.items() if key not in ("dtype", "torch_dtype", "auto_map")}
    caches = setting.stack.trainer == "plain"  # a Trainer switches it off
    config = AutoConfig.for_model(said.pop("model_type"), **{**said, "pad_token_id": 0, "use_cache": caches})
    auto: Any = transformers.AutoModelForCausalLM
    if setting.head == "masked-lm":
        auto = transformers.AutoModelForMaskedLM
    model = auto.from_config(config, attn_implementation="eager").train()
    if setting.lora is not None:
        adapters = peft.LoraConfig(r=setting.lora.rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = peft.get_peft_model(model, adapters)
    if setting.gradient_checkpointing != "false":
        model.gradient_checkpointing_enable({"use_reentrant": setting.gradient_checkpointing == "reentrant"})
        if setting.lora is not None:
            model.enable_input_require_grads()
    return model


def _share_out(model: Any, setting: Setting) -> None:
    """torch's fully_shard on each layer and then the rest, or transformers' split of each matrix."""
    import torch.distributed as dist
    from torch.distributed.fsdp import fully_shard
    from transformers.distributed import DistributedConfig
    from transformers.distributed.tensor_parallel import apply_tensor_parallelism

    mesh = dist.device_mesh.init_device_mesh("cpu", (dist.get_world_size(),))
    if setting.parallel.strategy == "tensor":
        plan, *_ = model._resolve_parallel_plans(DistributedConfig(tp_size=dist.get_world_size()))
        apply_tensor_parallelism(model, mesh, plan)
        return
    for module in model.modules():
        if type(module).__name__ in model._no_split_modules:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)


def rank_peaks(rank: int, store: str, setting: Setting, facts: ModelFacts, results: Any) -> None:
    """One process of several that share a model; the first tells its peaks."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    world = setting.parallel.gpus
    dist.Backend.register_backend("gloo_on_one_thread", _gloo_on_one_thread, devices=["cpu"])
    dist.init_process_group("gloo_on_one_thread", init_method=f"file://{store}", rank=rank, world_size=world)

    _as_kernels_of_a_gpu()
    _let_go_when_waited_for()
    peaks = real_peaks(setting, facts)
    dist.barrier()
    dist.destroy_process_group()
    if rank == 0:
        results.put((peaks.forward, peaks.backward))


def _as_kernels_of_a_gpu() -> None:
    """Takes away what a CPU makes and a GPU does not where a collective runs; no value matters here.

    A CPU pads each gradient into a copy of its own (aten/native/TensorShape.cpp, _chunk_cat), where a GPU's kernel
    reads them as they are; and gloo gathers and reduces in copies of its own, where NCCL works in the buffers it has.
    """
    collectives: Any = import_module("torch.distributed.fsdp._fully_shard._fsdp_collectives")
    collectives.foreach_reduce_scatter_copy_in = lambda *_: None
    collectives.DefaultAllGather.__call__ = lambda *_, **__: None
    collectives.DefaultReduceScatter.__call__ = lambda *_, **__: None


def _gloo_on_one_thread(store: Any, rank: int, size: int, _timeout: Any) -> Any:
    """gloo, whose works end one after the other."""
    from torch.distributed import ProcessGroupGloo

    options: Any = ProcessGroupGloo._Options()
    options._devices, options._threads = [ProcessGroupGloo.create_default_device()], 1
    return ProcessGroupGloo(store, rank, size, options)


def _let_go_when_waited_for() -> None:
    """Has gloo's thread let go of a tensor by the time that a wait for its reduction ends.

    It holds one until it comes round to its next work, and torch's profiler does not see what is freed on that thread:
    what a run seemed to hold would depend on how busy the machine is. NCCL has no such thread.
    """
    import torch
    import torch.distributed as dist

    functional: Any = import_module("torch.distributed._functional_collectives")
    waited, reduced, next_work = functional.wait_tensor, dist.all_reduce, torch.zeros(1)

    def wait_tensor(tensor: Any) -> Any:
        result = waited(tensor)
        reduced(next_work)
        return result

    def all_reduce(*args: Any, **kwargs: Any) -> Any:
        result = reduced(*args, **kwargs)
        reduced(next_work)
        return result

    functional.wait_tensor = wait_tensor
    dist.all_reduce = all_reduce


def real_peaks_of_first_rank(setting: Setting, facts: ModelFacts, store: Path) -> Peaks:
    """What the first of as many processes as a setting has GPUs asks for, which talk through gloo."""
    import torch.multiprocessing as processes

    results = processes.get_context("spawn").SimpleQueue()
    processes.spawn(rank_peaks, (str(store), setting, facts, results), nprocs=setting.parallel.gpus)
    return Peaks(*results.get())


def _once(model: Any) -> list[Any]:
    """Parameters and buffers, those that share a storage once."""
    tensors = [getattr(tensor, "_local_tensor", tensor) for tensor in (*model.parameters(), *model.buffers())]
    return list({tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}.values())
