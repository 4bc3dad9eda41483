"""A validation between two steps: passes without gradients, as a Trainer or a loop of one's own runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from accelerate.utils import convert_to_fp32
from torch import nn

from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.build import SPAN
from toolkit.memory.validation import batches_run, passing
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
    with torch.no_grad():
        for number in batches_run(setting.validation):
            given = run(seen, keeps=setting.validation.kept_batches > 0)  # names of the loop, beside all before
            if given is None:
                continue
            joined = [_with_those_between(*pair, number) for pair in zip(joined, given, strict=False)]
            joined = [torch.cat(pair) for pair in zip(joined, given, strict=True)] if joined else [*given]
    del joined, given
    model.train()


def _with_those_between(before: torch.Tensor, given: torch.Tensor, number: int) -> torch.Tensor:
    """Predictions with those of batches that are not run, up to that of a number: they are like the last."""
    missing = number - 1 - before.shape[0] // given.shape[0]
    return torch.cat((before, *[given] * missing)) if missing else before


def predictions(setting: Setting, model: nn.Module, inputs: dict[str, Any]) -> Predictions:
    """What prediction_step returns: what a pass gives, float32 where accelerate makes that, and its labels."""
    result = model(**inputs)
    if widens_results(setting):
        result = convert_to_fp32(result)
    given = [value for name, value in result.items() if name not in NOT_PREDICTED]
    return (*given, *[inputs[name] for name in inputs if name in LABELS])
