"""GLM-4 as transformers has it: 9B of 2024 (glm) and the models of April 2025 (glm4), which norm results too."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import Dimensions, dimensions, layer_kinds, norms, projections, stacked
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.model import Architecture, FeedForward

GLM_DEFAULTS = {
    "vocab_size": 151552,
    "hidden_size": 4096,
    "intermediate_size": 13696,
    "num_hidden_layers": 40,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "attention_bias": True,
    "tie_word_embeddings": False,
    "partial_rotary_factor": 0.5,
}

_TWO = ("input_layernorm", "post_attention_layernorm")


def glm(config: Config, head: Head) -> Architecture:
    """Biases on q, k and v; gate and up in one projection; half of each head is turned."""
    return _model(config, head, dimensions(config), _TWO)


def glm4(config: Config, head: Head) -> Architecture:
    """The same with norms on what attention and feed-forward give."""
    return _model(config, head, dimensions(config), (*_TWO, "post_self_attn_layernorm", "post_mlp_layernorm"))


def _model(config: Config, head: Head, d: Dimensions, names: tuple[str, ...]) -> Architecture:
    inner = (
        *projections("layers.{}.self_attn", d, d.indices, bias=config.flag("attention_bias")),
        parts.linear("layers.{}.mlp.gate_up_proj", d.hidden, 2 * d.intermediate, d.indices),
        parts.linear("layers.{}.mlp.down_proj", d.intermediate, d.hidden, d.indices),
        *norms(d, *names),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
    return stacked(config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, feed_forward, norms=len(names)))
