"""A model as torchtune builds it: one transformer decoder for every family, with one of two rotary embeddings.

Source: torchtune/modules/transformer.py (TransformerSelfAttentionLayer, TransformerDecoder), attention.py,
torchtune/models/llama3_1, mistral, qwen2, qwen3. Modules bear transformers' names here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.architecture.model import Architecture, LayerKind

TRAINER = "torchtune"
PAIRED, HALVED = "torchtune_paired", "torchtune_halved"
"""Neighbours are turned with each other, in float32, or the halves of a head in the dtype of the heads."""

FAMILIES: Mapping[str, str] = {"llama": PAIRED, "mistral": PAIRED, "qwen2": HALVED, "qwen3": HALVED}
"""The families that are followed (torchtune/models/*/_component_builders.py)."""


@lru_cache(maxsize=256)
def as_torchtune(architecture: Architecture) -> Architecture:
    """The architecture as torchtune has it; refuses families whose layers have more to them."""
    if architecture.family in (PAIRED, HALVED):
        return architecture
    family = FAMILIES.get(architecture.family)
    if family is None or architecture.head != "causal-lm":
        raise UnsupportedModel(architecture.class_name, "no formula for it in torchtune yet")
    kinds = tuple(map(_kind, architecture.layers))
    return replace(architecture, family=family, layers=kinds, embedding_dropout=0.0)


def _kind(kind: LayerKind) -> LayerKind:
    """Without dropout, and without windows, which torchtune does not have for these."""
    attention = replace(kind.attention, window=None, dropout=0.0, always_masked=False)
    return replace(kind, attention=attention, dropout=0.0)
