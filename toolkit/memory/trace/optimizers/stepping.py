"""Optimizers that step inside of backward, each for one parameter: torchtune's register_optim_in_bwd_hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.optimizers.make import optimizer_of
from toolkit.memory.trace.recorder import Recorder
from toolkit.spec.settings.setting import Setting


def step_in_backward(
    setting: Setting,
    model: nn.Module,
    parameters: Sequence[nn.Parameter],
    recorder: Recorder,
    keep: Callable[[Any], None],
) -> None:
    """Lets every parameter be updated once its gradient is there, which is then freed; `keep` is told of the states.

    Source: torchtune/training/memory.py, register_optim_in_bwd_hooks.
    """
    optimizers = {id(one): optimizer_of(setting, model, [one]) for one in parameters}

    def step(parameter: torch.Tensor) -> None:
        optimizer = optimizers[id(parameter)]
        recorder.paths.optimizing = True
        with torch.device("cpu"):  # where a real run makes what is given no device: AdamW's counter of steps
            optimizer.step()
        recorder.paths.optimizing = False
        keep(optimizer)
        optimizer.zero_grad(set_to_none=True)

    for parameter in parameters:
        parameter.register_post_accumulate_grad_hook(step)
