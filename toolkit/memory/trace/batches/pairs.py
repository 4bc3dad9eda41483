"""The losses of TRL's trainers of pairs that have no reference, by their own code: ORPO, CPO, SimPO, and rewards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.batches.trl_loss import NOT_INSTALLED, InPlace, any_trainer
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.fields.objective import ORPO, REWARD, SIMPO
from toolkit.spec.settings.setting import Setting

CLASSES = {ORPO: ("trl.experimental.orpo", "ORPOTrainer"), REWARD: ("trl", "RewardTrainer")}
OF_CPO = ("trl.experimental.cpo", "CPOTrainer")
ANSWERS = ("chosen", "rejected")


def pairs_loss(setting: Setting, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
    """The loss of pairs whose every token is the answer's; metrics are not read."""
    module, name = CLASSES.get(setting.objective, OF_CPO)
    trainer_class = getattr(import_module(module), name)
    loss: torch.Tensor
    if setting.objective == REWARD:
        own = {"args": SimpleNamespace(center_rewards_coefficient=None), "_total_train_tokens": 0, "_tp_size": 1}
        trainer = SimpleNamespace(**any_trainer(model), **own)
        mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))
        given = {"input_ids": inputs["input_ids"], "attention_mask": mask}
        loss = trainer_class.compute_loss(trainer, model, given)
        return loss
    trainer = _of_answers(setting, model, trainer_class)
    loss, _ = trainer_class.get_batch_loss_metrics(trainer, model, _collated(inputs))
    return loss


def _of_answers(setting: Setting, model: nn.Module, trainer_class: Any) -> SimpleNamespace:
    """What ORPOTrainer and CPOTrainer have, by their defaults; SimPO takes no cross-entropy of an answer beside."""
    trainer = SimpleNamespace(
        **any_trainer(model),
        is_encoder_decoder=False,
        padding_value=0,
        pad_token_id=0,
        beta=0.1,
        label_smoothing=0.0,
        alpha=0.0,
        simpo_gamma=0.5,
        gamma_beta_ratio=5.0,
        cpo_alpha=0.0 if setting.objective == SIMPO else 1.0,
        loss_type="simpo" if setting.objective == SIMPO else "sigmoid",
    )
    for own in ("concatenated_inputs", "get_batch_logps"):
        setattr(trainer, own, getattr(trainer_class, own))
    for own in ("concatenated_forward", "odds_ratio_loss", "cpo_loss"):
        if hasattr(trainer_class, own):
            setattr(trainer, own, partial(getattr(trainer_class, own), trainer))
    return trainer


def _collated(inputs: dict[str, Any]) -> dict[str, Any]:
    """A batch of pairs as TRL's collator gives it: of each answer its tokens, their mask and their labels."""
    ids = inputs["input_ids"]
    batch: dict[str, Any] = {}
    for answer in ANSWERS:
        own = ids[: ids.shape[0] // len(ANSWERS)].clone()
        batch[f"{answer}_input_ids"], batch[f"{answer}_labels"] = own, own.clone()
        batch[f"{answer}_attention_mask"] = torch.ones_like(own)
    return batch


@contextmanager
def kernel_of_pairs() -> Iterator[None]:
    """Lets log-probabilities come from TRL's Triton kernel, as on a GPU; it works in place and takes no memory."""
    try:
        utils: Any = import_module("trl.trainer.utils")
        with _triton():
            kernel: Any = import_module("trl.kernels.logprob_entropy")
    except ModuleNotFoundError as error:
        raise UnsupportedTrace(NOT_INSTALLED) from error
    stand_ins: dict[Any, dict[str, Any]] = {
        utils: {
            "is_triton_available": lambda: True,
            "_supports_trl_loss_kernel": lambda *_: True,
            "_fused_logprob_entropy": kernel.selective_log_softmax_and_entropy,
        },
        kernel: {"_forward_kernel": InPlace(), "_backward_kernel": InPlace()},
    }
    before: list[Callable[[], None]] = []
    for module, names in stand_ins.items():
        for name, value in names.items():
            before.append(partial(setattr, module, name, getattr(module, name, None)))
            setattr(module, name, value)
    try:
        yield
    finally:
        for restore in before:
            restore()


@contextmanager
def _triton() -> Iterator[None]:
    """Lets a file of kernels be imported where Triton is not installed: none of them is compiled or run."""
    if find_spec("triton"):
        yield
        return
    language = ModuleType("triton.language")
    vars(language).update(constexpr=int)
    package = ModuleType("triton")
    vars(package).update(jit=lambda kernel: kernel, cdiv=lambda whole, part: -(-whole // part), language=language)
    stand_ins = {"triton": package, "triton.language": language}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            sys.modules.pop(name)
