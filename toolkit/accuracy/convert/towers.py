"""Models with a tower for images that AutoModelForCausalLM leaves out, as a script says that it loads them so.

Source: transformers 5.23 models/auto/modeling_auto.py, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, and auto_factory.py,
_BaseAutoModelClass.from_pretrained: a class whose config is the text's part is given that part. The other models that
read images have one class for both, or none for text alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.facts.models import ModelFacts, load_model

TEXT_CLASSES: Mapping[str, tuple[str, str]] = {
    "llama4": ("llama4_text", "Llama4ForCausalLM"),
    "qwen3_5": ("qwen3_5_text", "Qwen3_5ForCausalLM"),
    "qwen3_5_moe": ("qwen3_5_moe_text", "Qwen3_5MoeForCausalLM"),
}
"""The type of the text's config and the class of the text alone, by the type of the whole."""

_LOADED = re.compile(r"(?<!not )(?<!no )\bautomodelforcausallm\b")


def say_text_alone(draft: Draft, record: Record) -> None:
    """Writes the config of the text alone in the place of a model whose tower the named class does not load."""
    name = draft.fields.get("model")
    if not isinstance(name, str) or not _LOADED.search(remarks_of(record)):
        return
    facts = load_model(name)
    if isinstance(facts, ModelFacts) and (config := text_alone(facts.config)) is not None:
        draft.fields["model"] = config
        draft.notes.append(f"{name} without its tower, which AutoModelForCausalLM leaves out")


def text_alone(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of a model's text, as the class of the text alone is given it; None where there is no such class."""
    text, known = config.get("text_config"), TEXT_CLASSES.get(str(config.get("model_type")))
    if known is None or not isinstance(text, Mapping):
        return None
    kind, made = known
    of_whole = {name: config[name] for name in ("tie_word_embeddings",) if name in config}
    return {**of_whole, **text, "model_type": kind, "architectures": [made]}
