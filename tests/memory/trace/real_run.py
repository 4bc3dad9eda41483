"""Training steps that really run, on a CPU, and what they ask torch's allocator for."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from toolkit.facts.models import ModelFacts
from toolkit.spec.setting import Setting

SECOND = "second step"


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most bytes that live at once before the backward pass of a second step, and from there on."""

    forward: int
    backward: int


def real_peaks(setting: Setting, facts: ModelFacts) -> Peaks:
    """Two steps of plain SGD with eager attention; the second is watched by torch's profiler."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' words to their own users
        model = _model(setting, facts)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(trained, 1e-6, foreach=False)
        _step(setting, model, optimizer)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
            _step(setting, model, optimizer)
    events = watched.profiler.kineto_results.events()  # type: ignore[union-attr]  # there since it has run
    [middle] = (event.start_ns() for event in events if event.name() == SECOND)
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    there = sum(parameter.untyped_storage().nbytes() for parameter in _once(model))
    peaks = {True: 0, False: 0}
    for moment, change in changes:
        there += change
        peaks[moment < middle] = max(peaks[moment < middle], there)
    return Peaks(peaks[True], peaks[False])


def _step(setting: Setting, model: Any, optimizer: Any) -> None:
    import torch

    low = torch.autocast("cpu", torch.bfloat16) if setting.amp else nullcontext()
    ids = torch.zeros(setting.batch_size, setting.sequence_length, dtype=torch.long)
    labels = ids[:, 0] if setting.head == "sequence-classification" else ids.clone()
    with low:
        loss = model(input_ids=ids, labels=labels).loss
    with torch.profiler.record_function(SECOND):
        pass
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _model(setting: Setting, facts: ModelFacts) -> Any:
    import peft
    import transformers
    from transformers import AutoConfig

    said = {key: value for key, value in facts.config.items() if key not in ("dtype", "torch_dtype", "auto_map")}
    config = AutoConfig.for_model(said.pop("model_type"), **{**said, "pad_token_id": 0, "use_cache": False})
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


def _once(model: Any) -> list[Any]:
    """Parameters and buffers, those that share a storage once."""
    tensors = [*model.parameters(), *model.buffers()]
    return list({tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}.values())
