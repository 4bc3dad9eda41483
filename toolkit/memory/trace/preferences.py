"""The losses of TRL's DPOTrainer and GRPOTrainer, by their own code, and the reference that they have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from toolkit.facts.models import ModelFacts
from toolkit.memory.trace.build import DTYPES, load
from toolkit.memory.trace.on_gpu import OnGpu
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.trl_loss import read, with_head
from toolkit.spec.objective_fields import GRPO, MODEL, PRECOMPUTED, PREFERENCES
from toolkit.spec.setting import Setting


def prefers(setting: Setting) -> bool:
    """Whether answers are held against each other, or against what a reference gives."""
    return setting.trains and setting.objective in PREFERENCES


def reference_of(setting: Setting, facts: ModelFacts) -> nn.Module | None:
    """The model that a trainer makes beside the one that it trains, as from_pretrained leaves it; else none."""
    if not prefers(setting):
        return None
    if facts.config.get("router_aux_loss_coef"):  # trl/trainer/dpo_trainer.py, aux_loss_enabled
        raise UnsupportedTrace(f"the loss that routers add to {setting.objective} is not traced yet")
    if setting.reference != MODEL:
        return None
    alone = replace(setting, lora=None, peft=None, gradient_checkpointing="false")
    reference = load(alone, facts)
    with_head(reference, ("log_probs",))
    return reference


def passing_alone(setting: Setting, model: nn.Module, on_gpu: OnGpu) -> nn.Module:
    """Lets each pass through a model be a region of autocast of its own (accelerate accelerator.py, prepare_model).

    A mask of tokens without zeros it is not given: code that reads its values finds that it says nothing.
    """
    dtype = DTYPES[setting.compute] if setting.amp and setting.compute != "fp32" else None
    original: Callable[..., Any] = model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not setting.padding:
            kwargs.pop("attention_mask", None)
        with on_gpu.region(dtype):
            return original(*args, **kwargs)

    model.forward = forward
    return model


def _form(setting: Setting) -> dict[str, bool]:
    """What checkpoints are turned on with again, once the reference was asked without them."""
    return {"use_reentrant": setting.gradient_checkpointing == "reentrant"}


def preference_loss(
    setting: Setting, model: nn.Module, reference: nn.Module | None, inputs: dict[str, Any]
) -> torch.Tensor:
    """The loss of sequences whose every token is the answer's; metrics are not read."""
    if setting.objective == GRPO:
        return _loss_of_rewards(setting, model, inputs["input_ids"])
    mask = torch.ones_like(inputs["input_ids"])
    pairs = {"attention_mask": torch.ones_like(mask), **inputs, "completion_mask": mask}
    del pairs["labels"]
    if setting.reference == PRECOMPUTED:
        for answer in ("chosen", "rejected"):
            pairs[f"ref_{answer}_logps"] = torch.zeros(setting.batch_size, dtype=torch.float32)
    trainer = SimpleNamespace(
        **_any_trainer(model),
        ref_model=reference,
        precompute_ref_logps=setting.reference == PRECOMPUTED,
        args=SimpleNamespace(gradient_checkpointing_kwargs=_form(setting)),
        f_divergence_type="reverse_kl",
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        label_smoothing=0.0,
        beta=0.1,
        ld_alpha=None,
        use_weighting=False,
        _total_train_tokens=0,
        _tp_size=1,
    )
    loss: torch.Tensor = import_module("trl").DPOTrainer._compute_loss(trainer, model, pairs, False)
    return loss


def _loss_of_rewards(setting: Setting, model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """GRPOTrainer._compute_loss of prompts of one token, with its defaults: no entropy bonus, clipped by tokens."""
    trainer_class = import_module("trl").GRPOTrainer
    count = ids.shape[0]
    inputs: dict[str, Any] = {
        "prompt_ids": ids[:, :1].clone(),
        "completion_ids": ids[:, 1:].clone(),
        "advantages": torch.zeros(count, dtype=torch.float32),
        "num_items_in_batch": torch.ones((), device="cpu"),
    }
    inputs["prompt_mask"] = torch.ones_like(inputs["prompt_ids"])
    inputs["completion_mask"] = torch.ones_like(inputs["completion_ids"])
    if setting.reference is not None:
        inputs["ref_per_token_logps"] = torch.zeros(inputs["completion_ids"].shape, dtype=torch.float32)
    trainer = SimpleNamespace(
        **_any_trainer(model),
        args=SimpleNamespace(steps_per_generation=1, delta=None, use_bias_correction_kl=False),
        beta=0.0 if setting.reference is None else 0.04,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        loss_type="dapo",
        epsilon_low=0.2,
        epsilon_high=0.2,
        use_vllm=False,
        current_gradient_accumulation_steps=1,
        _entropy_bonus_enabled=False,
    )
    trainer._get_per_token_logps_and_entropies = partial(trainer_class._get_per_token_logps_and_entropies, trainer)
    loss: torch.Tensor = trainer_class._compute_loss(trainer, model, inputs)
    return loss


def _any_trainer(model: nn.Module) -> dict[str, Any]:
    """What every trainer of TRL has."""
    accelerator = SimpleNamespace(
        device=torch.device("meta"),
        num_processes=1,
        is_main_process=False,
        unwrap_model=lambda whole: whole,
        gather_for_metrics=read,
        gather=read,
        reduce=lambda _, **__: torch.ones(2, device="cpu"),
        autocast=nullcontext,  # each pass is a region of its own
    )
    metrics: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    return {"model": model, "accelerator": accelerator, "aux_loss_enabled": False, "_metrics": metrics}
