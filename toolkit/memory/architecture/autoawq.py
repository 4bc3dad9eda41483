"""A model as AutoAWQ fuses it: blocks of its own in place of those of LLaMA and of what is put together as LLaMA is.

Source: autoawq 0.1.4 to 0.1.6, awq/models/llama.py and mistral.py, awq/modules/fused/block.py (LlamaLikeBlock).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.architecture.model import Architecture, LayerKind

FAMILY = "autoawq"

FAMILIES = frozenset({"llama", "mistral"})


@lru_cache(maxsize=256)
def as_autoawq(architecture: Architecture) -> Architecture:
    """The architecture as AutoAWQ fuses it: without windows. Refuses families with blocks of another form."""
    if architecture.family == FAMILY:
        return architecture
    if architecture.family not in FAMILIES or architecture.head != "causal-lm":
        raise UnsupportedModel(architecture.class_name, "no formula for it in AutoAWQ yet")
    return replace(architecture, family=FAMILY, layers=tuple(map(_kind, architecture.layers)))


def _kind(kind: LayerKind) -> LayerKind:
    return replace(kind, attention=replace(kind.attention, window=None, always_masked=False))
