"""Models cut to a few layers, to be traced quickly."""

from __future__ import annotations

from toolkit.facts.models import ModelFacts, load_model, model_from_config

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers")
EACH_LAYER = ("layer_types", "intermediate_size", "activation_sparsity_pattern")
"""Keys that may list a value for each layer."""


def cut(name: str, layers: int = 2) -> ModelFacts:
    """A model of the tables with its first layers only."""
    facts = load_model(name)
    assert isinstance(facts, ModelFacts)
    config = dict(facts.config)
    config.update({key: layers for key in LAYERS if key in config})
    if "hybrid_override_pattern" in config:
        config["hybrid_override_pattern"] = config["hybrid_override_pattern"][:layers]
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][:layers]
    if "attention_types" in config:
        config["attention_types"] = [[kinds, 1] for kinds, _ in config["attention_types"]]
        config.update(num_layers=sum(len(kinds) for kinds, _ in config["attention_types"]))
    if "text_config" in config:
        text = {**config["text_config"], "num_hidden_layers": layers}
        text.update({key: text[key][:layers] for key in EACH_LAYER if isinstance(text.get(key), list)})
        if "num_kv_shared_layers" in text:
            text["num_kv_shared_layers"] = min(text["num_kv_shared_layers"], layers - 1)
        config["text_config"] = text
    return model_from_config(config, facts.id)
