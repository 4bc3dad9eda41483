"""The losses of TRL's DPOTrainer, KTOTrainer and GRPOTrainer, by their own code, and the reference that they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from accelerate.utils import convert_to_fp32
from torch import nn

from toolkit.facts.models import ModelFacts
from toolkit.memory.trace.batches.pairs import pairs_loss
from toolkit.memory.trace.batches.trl_loss import any_trainer, with_head
from toolkit.memory.trace.build import DTYPES, load
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.stand_ins.on_gpu import OnGpu
from toolkit.memory.weights.casts import widens_results
from toolkit.spec.fields.objective import GRPO, KTO, MODEL, NEXT_TOKEN, PRECOMPUTED, PREFERENCES
from toolkit.spec.settings.setting import Setting


def prefers(setting: Setting) -> bool:
    """Whether answers are scored, or held against each other or against what a reference gives."""
    return setting.trains and setting.objective != NEXT_TOKEN


def reference_of(setting: Setting, facts: ModelFacts) -> nn.Module | None:
    """The model that a trainer makes beside the one that it trains, as from_pretrained leaves it; else none."""
    if not prefers(setting):
        return None
    routes = bool(facts.config.get("router_aux_loss_coef"))
    if setting.objective in PREFERENCES and routes:  # trl/trainer/dpo_trainer.py, aux_loss_enabled
        raise UnsupportedTrace(f"the loss that routers add to {setting.objective} is not traced yet")
    if setting.reference != MODEL:
        return None
    alone = replace(setting, lora=None, peft=None, gradient_checkpointing="false")
    reference = load(alone, facts)
    with_head(reference, ("log_probs",))
    return reference


def passing_alone(setting: Setting, model: nn.Module, on_gpu: OnGpu) -> nn.Module:
    """Lets each pass through a model be a region of autocast of its own (accelerate accelerator.py, prepare_model).

    What it gives is made float32 afterwards.
    A mask of tokens without zeros it is not given: code that reads its values finds that it says nothing.
    """
    dtype = DTYPES[setting.compute] if setting.amp and setting.compute != "fp32" else None
    original: Callable[..., Any] = model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not setting.padding:
            kwargs.pop("attention_mask", None)
        with on_gpu.region(dtype):
            given = original(*args, **kwargs)
        return convert_to_fp32(given) if widens_results(setting) else given

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
    if setting.objective not in PREFERENCES:
        return pairs_loss(setting, model, inputs)
    if setting.objective == KTO:
        return _loss_of_answers(setting, model, reference, inputs)
    mask = torch.ones_like(inputs["input_ids"])
    pairs = {"attention_mask": torch.ones_like(mask), **inputs, "completion_mask": mask}
    del pairs["labels"]
    if setting.reference == PRECOMPUTED:
        for answer in ("chosen", "rejected"):
            pairs[f"ref_{answer}_logps"] = torch.zeros(setting.batch_size, dtype=torch.float32)
    trainer = SimpleNamespace(
        **any_trainer(model),
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


def _loss_of_answers(
    setting: Setting, model: nn.Module, reference: nn.Module | None, inputs: dict[str, Any]
) -> torch.Tensor:
    """KTOTrainer._compute_loss of answers that are wanted and not; beside each stands one of another prompt."""
    ids = inputs["input_ids"]
    mask = torch.ones_like(ids)
    batch = {"input_ids": ids, "attention_mask": mask, "completion_mask": mask.clone()}
    batch |= {f"KL_{name}": value.clone() for name, value in batch.items()}
    batch["label"] = torch.zeros(ids.shape[0], dtype=torch.bool)
    if setting.reference == PRECOMPUTED:
        batch |= {name: torch.zeros(ids.shape[0], dtype=torch.float32) for name in ("ref_logps", "ref_KL_logps")}
    trainer_class = import_module("trl").KTOTrainer
    trainer = SimpleNamespace(
        **any_trainer(model),
        ref_model=reference,
        precompute_ref_logps=setting.reference == PRECOMPUTED,
        args=SimpleNamespace(gradient_checkpointing_kwargs=_form(setting)),
        calculate_KL=True,
        loss_type="kto",
        beta=0.1,
        desirable_weight=1.0,
        undesirable_weight=1.0,
        _total_train_tokens=0,
        _tp_size=1,
    )
    trainer._compute_kl_logps = partial(trainer_class._compute_kl_logps, trainer)
    loss: torch.Tensor = trainer_class._compute_loss(trainer, model, batch, False)
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
        **any_trainer(model),
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
