"""The loss of TRL's SFTTrainer, by its own code: log-probabilities in tiles, never all logits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Any

import torch
from packaging.version import Version
from torch import nn

from toolkit.memory.libraries.versions import older, package_version
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.fields.objective import DPO, GRPO, KTO, NEXT_TOKEN, PREFERENCES
from toolkit.spec.settings.setting import Setting

METRICS = Version("0.17")
"""Since about then SFTTrainer works out accuracy and entropy from the logits (trainer/sft_trainer.py)."""
OUTPUTS = ("log_probs", "entropy", "is_top1")
"""What SFTTrainer asks its head for."""
OUTPUTS_OF = {
    DPO: (*OUTPUTS, "mean_logits"),
    KTO: ("log_probs", "entropy", "mean_logits"),
    GRPO: ("log_probs", "entropy"),
}
"""What other trainers do that have a reference."""

NOT_INSTALLED = "trl is not installed, whose loss has code of its own"


def refuse_trl(setting: Setting) -> None:
    """Raises UnsupportedTrace where SFTTrainer's code for a setting is not what is installed. Before 0.17 none ran."""
    if older(setting, "trl", METRICS) and setting.stack.loss == "cross-entropy":
        return
    try:
        installed = Version(version("trl"))
        utils = import_module("trl.trainer.utils")
    except (PackageNotFoundError, ImportError) as error:
        raise UnsupportedTrace(NOT_INSTALLED) from error
    if not hasattr(utils, "add_fused_lm_head"):
        raise UnsupportedTrace(f"the loss of trl {installed} is not traced yet")
    stated = package_version(setting, "trl")
    if stated is not None and stated.release[:2] != installed.release[:2]:
        raise UnsupportedTrace(f"the stack names trl {stated}, and the loss of the installed {installed} differs")
    if setting.stack.loss != "chunked" and setting.objective in (NEXT_TOKEN, *PREFERENCES):
        raise UnsupportedTrace(f"trl {installed} has no {setting.stack.loss} loss: it never forms all logits")


def with_head(model: nn.Module, outputs: Sequence[str]) -> None:
    """Gives a model the head of TRL's trainers."""
    import_module("trl.trainer.utils").add_fused_lm_head(model, outputs=tuple(outputs))


def refuse_adapted_head(model: nn.Module) -> None:
    """Raises UnsupportedTrace for an adapter on the output layer, as TRL's trainers do (SFTTrainer.__init__)."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    found: Any = model
    if isinstance(found.get_output_embeddings(), BaseTunerLayer):
        raise UnsupportedTrace("TRL refuses an adapter on the output layer: its loss reads the weight alone")


def without_dropout(model: nn.Module) -> None:
    """Turns the dropout of a model's modules off."""
    import_module("trl.trainer.utils").disable_dropout_in_model(model)


def sft_loss(model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
    """SFTTrainer.compute_loss with its metrics, which are worked out and then not read."""
    ids = inputs["input_ids"]
    positions = inputs.get("position_ids", torch.arange(ids.shape[1]).expand(ids.shape))
    trainer = SimpleNamespace(
        model=model,
        aux_loss_enabled=False,
        compute_loss_func=None,
        label_smoother=None,
        args=SimpleNamespace(loss_type="nll", average_tokens_across_devices=False),
        accelerator=SimpleNamespace(parallelism_config=None, gather_for_metrics=read),
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
    )
    compute = import_module("trl").SFTTrainer.compute_loss
    passes: Any = model if "position_ids" in inputs else partial(_without_positions, model)
    loss: torch.Tensor = compute(trainer, passes, {**inputs, "position_ids": positions})
    return loss


def _without_positions(model: nn.Module, **inputs: Any) -> Any:
    """Runs a model on a batch of TRL's collator, whose tokens are counted by a mask and which has no positions."""
    return model(**{name: value for name, value in inputs.items() if name != "position_ids"})


def any_trainer(model: nn.Module) -> dict[str, Any]:
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


def read(_: torch.Tensor) -> torch.Tensor:
    """Stands for a metric that the host reads."""
    return torch.ones((), device="cpu")


@contextmanager
def kernels_of_trl() -> Iterator[None]:
    """Lets SFTTrainer's head take its path for Triton, whose kernels work in place and take no memory."""
    try:
        kernels: Any = import_module("trl.kernels.chunked_logprob")
        utils: Any = import_module("trl.trainer.utils")
    except ModuleNotFoundError as error:
        raise UnsupportedTrace(NOT_INSTALLED) from error
    in_place = InPlace()
    stand_ins: dict[str, Any] = {
        "_use_triton": lambda _: True,
        "_forward_kernel": in_place,
        "_backward_kernel": in_place,
        "_addmm_fp32": _accumulate,
        "triton": SimpleNamespace(cdiv=lambda whole, part: -(-whole // part)),
    }
    before = {name: getattr(kernels, name, None) for name in stand_ins}
    asked = utils._use_triton
    utils._use_triton = stand_ins["_use_triton"]
    for name, value in stand_ins.items():
        setattr(kernels, name, value)
    try:
        yield
    finally:
        utils._use_triton = asked
        for name, value in before.items():
            setattr(kernels, name, value)


class InPlace:
    """A Triton kernel as it is launched: by its grid."""

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *_, **__: None


def _accumulate(total: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
    """A product added to a float32 sum in place; from 16-bit inputs by cuBLAS, without a copy of either."""
    if first.dtype == torch.float32:
        total.addmm_(first, second)
