"""What transformers keeps in memory, by version. Read in the sources of 4.39.3 to 4.57.1 and 5.23.

A stack that names no version is the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import Version

from toolkit.memory.architecture import Architecture
from toolkit.memory.numerics import older
from toolkit.spec.setting import Setting

PACKAGE = "transformers"

GENERATION_UPCASTS_UNTIL = Version("4.45")
"""Generation formed the logits of the whole prompt, and a float32 copy of them."""
TRAINING_UPCASTS_UNTIL: Mapping[str, Version] = {"mistral": Version("4.48")}
UPCASTS_UNTIL = Version("4.46")
"""The model itself made the logits float32 before the loss, and let the 16-bit ones go; in one family for longer."""
LOSS_SHIFTS_UNTIL = Version("4.50")
"""The loss was taken on a contiguous copy of all logits but the last."""
SDPA_REPEATS_UNTIL = Version("4.54")
"""sdpa was given keys and values repeated for every query head."""
PROBABILITIES_BOUND_FROM = Version("4.48")
"""Layers keep a name for the probabilities of eager attention; before, attention let them go unless asked for them."""
FLASH_REPEATS_UNTIL = Version("4.48")
"""So was flash attention, in some families."""
FLASH_REPEATING = frozenset({"mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3_moe", "phi3"})
ROTARY_CACHED_UNTIL: Mapping[str, Version] = {
    "llama": Version("4.41"),
    "mistral": Version("4.42"),
    "mixtral": Version("4.48"),
    "qwen2": Version("4.45"),
}
"""Every layer kept cosines and sines of all positions in the dtype of the weights."""
HOLDS_RESULT_UNTIL = Version("4.42")
"""Generation kept the result of a step, logits of the prompt and all, until the next had its own (no `del outputs`)."""
TUPLES_UNTIL = HOLDS_RESULT_UNTIL
OWN_TUPLES_UNTIL: Mapping[str, Version] = {
    "gpt2": Version("4.52"),
    "gpt_neox": Version("4.45"),
    "opt": Version("4.49"),
}
"""Models got and gave keys and values as tuples, which generation keeps: some until they took a Cache to fill."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the version of a setting does."""

    upcasts_early: bool
    shifts: bool
    repeats: bool
    caches_rotary: bool
    holds_result: bool
    hands_on_tuples: bool
    binds_probabilities: bool


def behaviour(architecture: Architecture, setting: Setting) -> Behaviour:
    """What the version of transformers that a setting names does with a model."""
    family = architecture.family
    rotary = ROTARY_CACHED_UNTIL.get(family)
    training = TRAINING_UPCASTS_UNTIL.get(family, UPCASTS_UNTIL)
    upcasts = training if setting.trains else GENERATION_UPCASTS_UNTIL
    if setting.attention == "flash":
        repeats = family in FLASH_REPEATING and older(setting, PACKAGE, FLASH_REPEATS_UNTIL)
    else:
        repeats = older(setting, PACKAGE, SDPA_REPEATS_UNTIL)
    return Behaviour(
        upcasts_early=older(setting, PACKAGE, upcasts),
        shifts=older(setting, PACKAGE, LOSS_SHIFTS_UNTIL),
        repeats=repeats,
        caches_rotary=rotary is not None and older(setting, PACKAGE, rotary),
        holds_result=older(setting, PACKAGE, HOLDS_RESULT_UNTIL),
        hands_on_tuples=older(setting, PACKAGE, OWN_TUPLES_UNTIL.get(family, TUPLES_UNTIL)),
        binds_probabilities=not older(setting, PACKAGE, PROBABILITIES_BOUND_FROM),
    )
