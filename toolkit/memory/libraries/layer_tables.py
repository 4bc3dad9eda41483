"""What each layer of older versions of transformers keeps for every position that its model knows."""

from __future__ import annotations

from toolkit.memory.architecture import Architecture
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.size import BYTES
from toolkit.spec.settings.setting import Setting

FLOAT32_ANGLES = frozenset({"gpt_neox"})
"""Families whose layers kept their angles in float32, not in the dtype of the weights."""


def layer_tables(architecture: Architecture, setting: Setting, dtype: str, reached: int = 0) -> tuple[int, ...]:
    """The bytes of the tensors of one layer: a mask of all pairs of positions, cosines, sines.

    `dtype` is that of the weights. Angles are worked out anew once a pass has `reached` more positions than the model
    knows (modeling_llama.py, modeling_mistral.py and others, _set_cos_sin_cache).
    """
    positions, kept = architecture.max_positions, behaviour(architecture, setting)
    if positions is None:
        return ()
    masks = (positions**2 * BYTES["bool"],) if kept.keeps_masks else ()
    if not kept.caches_rotary:
        return masks
    attention = architecture.layers[0].attention
    width = attention.rope_dim or attention.head_dim
    angles = max(positions, reached) * width * BYTES["fp32" if architecture.family in FLOAT32_ANGLES else dtype]
    return (*masks, angles, angles)
