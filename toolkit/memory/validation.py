"""Passes without gradients between the steps of training: an evaluation of batches of their own.

Source: transformers/trainer.py, evaluation_loop and prediction_step: the model in evaluation mode, under the autocast
of training; between steps gradients are gone, and weights, adapters and optimizer states stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.fields.validation import LOSSES, STRATEGIES, TRAINERS
from toolkit.spec.settings.setting import Setting, Validation

ALIKE = 2
"""Passes after which all that follow are like the last."""
MOST_RUN = 16
"""Batches that are run at most, spread evenly over those whose predictions are joined."""
MOST_JOINED = 4096
"""Batches that are joined one after the other at most: no card has room for what as many leave behind."""


def passing(setting: Setting) -> Setting:
    """The setting in which a batch is validated: that of training, without checkpoints."""
    assert setting.validation is not None
    return replace(
        setting,
        validation=None,
        batch_size=setting.validation.batch_size,
        sequence_length=setting.validation.sequence_length,
        gradient_accumulation=1,
        gradient_checkpointing="false",
        activation_offloading=False,
    )


def refuse_validation(setting: Setting) -> None:
    """Raises UnsupportedRow for a validation that no formula follows."""
    if setting.validation is not None:
        for reason in unknown_validation(setting, setting.validation):
            raise UnsupportedRow("validation", f"no formula for a validation {reason} yet")


def unknown_validation(setting: Setting, validation: Validation) -> Iterator[str]:
    """What of a validation is followed neither by a formula nor by a trace."""
    stack, parallel = setting.stack, setting.parallel
    if stack.trainer not in TRAINERS:
        yield f"by {stack.trainer}"
    if stack.loss not in LOSSES:
        yield f"with the loss {stack.loss}"
    if setting.objective != NEXT_TOKEN:
        yield f"of {setting.objective}"
    if parallel.gpus > 1 and parallel.strategy not in STRATEGIES:
        yield f"under {parallel.strategy}"
    if validation.kept_batches and setting.stack.trainer != "transformers":
        yield f"that keeps the predictions of {stack.trainer}"


def batches_joined(validation: Validation) -> tuple[int, ...]:
    """The numbers of the batches at which predictions are joined, or of those that are run where none are."""
    kept = validation.kept_batches
    return spread(kept, MOST_JOINED) if kept else tuple(range(1, ALIKE + 1))


def batches_run(validation: Validation) -> frozenset[int]:
    """The numbers of the batches that are run, from 1: all that follow are like the last, but for what is joined."""
    joined = batches_joined(validation)
    return frozenset((joined[0], *(joined[number - 1] for number in spread(len(joined), MOST_RUN))))


def spread(count: int, most: int) -> tuple[int, ...]:
    """So many numbers at most from 1 to a count, evenly, the last of all among them."""
    chosen = min(count, most)
    return tuple(-(-count * number // chosen) for number in range(1, chosen + 1))
