"""A validation between two steps: passes without gradients, as a Trainer or a loop of one's own runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from accelerate.utils import convert_to_fp32
from torch import nn

from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.build import SPAN
from toolkit.memory.validation import batches_joined, batches_run, passing
from toolkit.memory.weights.casts import widens_results
from toolkit.spec.settings.setting import Setting

Predictions = tuple[torch.Tensor, ...]
"""Logits and labels of a batch."""

NOT_PREDICTED = ("loss", "past_key_values")
LABELS = ("labels", *SPAN)


class Pass(Protocol):
    """A pass of a setting: what the loop `keeps` of it, where it does."""

    def __call__(self, setting: Setting, *, keeps: bool) -> Predictions | None:
        """Runs it."""


def validate(setting: Setting, model: nn.Module, mark: Callable[[PhaseName], None], run: Pass) -> None:
    """Runs a few batches, or those whose predictions are joined on the GPU.

    Source: transformers/trainer.py, evaluation_loop, prediction_step; trainer_pt_utils.py, nested_concat.
    """
    assert setting.validation is not None
    seen = passing(setting)
    mark(PhaseName.VALIDATION)
    model.eval()
    joined: list[torch.Tensor] = []
    ran, gpus = batches_run(setting.validation), setting.parallel.gpus
    with torch.no_grad():
        for number in batches_joined(setting.validation):
            if number in ran:
                given = run(seen, keeps=setting.validation.kept_batches > 0)
                given = given if given is None or gpus == 1 else tuple(_gathered(part, gpus) for part in given)
            elif given is not None:  # like those of the batch before
                given = tuple(map(torch.empty_like, given))
            if given is not None:  # names of the loop, beside what is joined
                joined = _joined(joined, given, number)
    del joined, given
    model.train()


def _gathered(part: torch.Tensor, gpus: int) -> torch.Tensor:
    """What all GPUs have of it, in a new tensor."""
    return part.new_empty((part.shape[0] * gpus, *part.shape[1:]))


def _joined(before: list[torch.Tensor], given: Predictions, number: int) -> list[torch.Tensor]:
    """Those of so many batches, one tensor after the other; what is not joined one by one is there before."""
    if not before:
        return [*given]
    for place, part in enumerate(given):
        rows = (number - 1) * part.shape[0]
        if before[place].shape[0] < rows:
            before[place] = part.new_empty((rows, *part.shape[1:]))
        before[place] = torch.cat((before[place], part))
    return before


def predictions(setting: Setting, model: nn.Module, inputs: dict[str, Any]) -> Predictions:
    """What prediction_step returns: what a pass gives, float32 where accelerate makes that, and its labels."""
    result = model(**inputs)
    if widens_results(setting):
        result = convert_to_fp32(result)
    given = [value for name, value in result.items() if name not in NOT_PREDICTED]
    return (*given, *[inputs[name] for name in inputs if name in LABELS])
