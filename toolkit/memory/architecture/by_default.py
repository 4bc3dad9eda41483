"""The sizes that a model's config leaves out, for which the defaults of transformers are taken."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.facts.models import ModelFacts
from toolkit.memory.architecture.registry import FAMILIES, SAME_CODE

SIZES = (
    "hidden_size", "n_embd", "d_model", "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers",
    "decoder_layers", "vocab_size",
)  # fmt: skip
"""Keys that say how large a model is, as configs of different families have them."""
_INSIDE = "text_config"


def sizes_by_default(facts: ModelFacts) -> Mapping[str, int]:
    """The sizes that a config does not say, by the family's key; nothing of a config of images and text."""
    kind = facts.config.get("model_type")
    family = FAMILIES.get(SAME_CODE.get(kind, kind)) if isinstance(kind, str) else None
    if family is None or _INSIDE in facts.config:
        return {}
    said = {key for key in SIZES if key in facts.config or family.aliases.get(key) in facts.config}
    return {key: family.defaults[key] for key in SIZES if isinstance(family.defaults.get(key), int) and key not in said}
