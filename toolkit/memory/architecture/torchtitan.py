"""A model as torchtitan builds it: its own Llama, whose neighbours turn as complex numbers.

Source: torchtitan/models/llama3/model/model.py of its releases 0.1.0 to 0.2.2, and torchtitan/models/llama/model.py of
December 2024 (commit 9dec370). Modules bear transformers' names here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from packaging.version import Version

from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.architecture.model import Architecture, LayerKind
from toolkit.memory.libraries.versions import older
from toolkit.spec.settings.setting import Setting

TRAINER = "torchtitan"
REPEATED, SHARED = "torchtitan_repeated", "torchtitan_shared"
"""Keys and values are repeated for every query head, or the kernel shares them (enable_gqa)."""

SHARES_KEYS = Version("0.2.2")
OWN_NORM_UNTIL = Version("0.1")
"""Before, its norm was written out (torchtitan/models/norms.py); since, it is torch's RMSNorm."""
TORCH_FUSES_NORMS = Version("2.9")
"""Before, torch wrote RMSNorm out on a GPU as well: the fused kernel is of its pull request 153666.

Which dtype its product with the weight had then depends on the release, so that what it keeps is not followed.
"""

FAMILIES: Mapping[str, bool] = {"llama": True}
"""The families that are followed: those of its Llama 3."""


def as_torchtitan(architecture: Architecture, setting: Setting) -> Architecture:
    """The architecture as the stack's torchtitan has it; refuses families whose layers have more to them."""
    written = older(setting, TRAINER, OWN_NORM_UNTIL) or older(setting, "torch", TORCH_FUSES_NORMS)
    return _built(architecture, repeats=older(setting, TRAINER, SHARES_KEYS), fuses=not written)


@lru_cache(maxsize=256)
def _built(architecture: Architecture, *, repeats: bool, fuses: bool) -> Architecture:
    if architecture.family in (REPEATED, SHARED):
        return architecture
    if architecture.family not in FAMILIES or architecture.head != "causal-lm" or architecture.tied:
        raise UnsupportedModel(architecture.class_name, "no formula for it in torchtitan yet")
    kinds = tuple(_kind(kind, "fused rms" if fuses else kind.norm) for kind in architecture.layers)
    return replace(architecture, family=REPEATED if repeats else SHARED, layers=kinds, embedding_dropout=0.0)


def _kind(kind: LayerKind, norm: str) -> LayerKind:
    attention = replace(kind.attention, window=None, dropout=0.0, always_masked=False)
    return replace(kind, attention=attention, norm=norm, dropout=0.0)
