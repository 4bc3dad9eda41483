"""Models cut to a few layers, to be traced quickly."""

from __future__ import annotations

from toolkit.facts.models import ModelFacts, load_model, model_from_config

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers")


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
        config["text_config"] = {
            **text,
            **({"layer_types": text["layer_types"][:layers]} if "layer_types" in text else {}),
        }
    return model_from_config(config, facts.id)
