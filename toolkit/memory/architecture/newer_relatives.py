"""More of LLaMA's relatives: InternLM 3, IQuest-Coder, CWM, Jais 2, HyperCLOVA X SEED Think.

Names and defaults are those of transformers 5.23, which runs the first two by LLaMA's own code.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import (
    FULL,
    SLIDING,
    dimensions,
    gated,
    layer_kinds,
    layer_windows,
    norms,
    order_of,
    projections,
    stacked,
    ungated,
)
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.model import Architecture, FeedForward

INTERNLM3_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 128512,
    "intermediate_size": 10240,
    "num_hidden_layers": 48,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "max_position_embeddings": 32768,
}
INTERNLM3_ALIASES = {"attention_bias": "qkv_bias", "mlp_bias": "bias"}

IQUEST_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 76800,
    "hidden_size": 5120,
    "intermediate_size": 27648,
    "num_hidden_layers": 80,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
}

CWM_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 128256,
    "hidden_size": 6144,
    "intermediate_size": 21504,
    "num_hidden_layers": 64,
    "num_attention_heads": 48,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "sliding_window": 8192,
}

JAIS2_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 150272,
    "hidden_size": 3328,
    "intermediate_size": 26624,
    "num_attention_heads": 26,
    "hidden_act": "relu2",
    "max_position_embeddings": 8192,
    "attention_bias": True,
    "mlp_bias": True,
}

SOLAR_OPEN_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 196608,
    "num_hidden_layers": 48,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "moe_intermediate_size": 1280,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "n_routed_experts": 128,
    "first_k_dense_replace": 0,
}

HYPERCLOVAX_DEFAULTS = {**LLAMA_DEFAULTS, "use_post_norm": True}

_ATTENTION, _MLP = "layers.{}.self_attn", "layers.{}.mlp"
_TWO = ("input_layernorm", "post_attention_layernorm")
_EVERY = 4


def cwm(config: Config, head: Head) -> Architecture:
    """CWM 32B: every fourth layer, from the first on, attends to all, the others to a window."""
    d = dimensions(config)
    pattern = tuple(SLIDING if index % _EVERY else FULL for index in range(d.layers))
    inner = (
        *projections(_ATTENTION, d, d.indices),
        *gated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *norms(d, *_TWO),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
    windows = layer_windows(config, d.layers, pattern)
    kinds = layer_kinds(config, d, windows, feed_forward)
    return stacked(config, head, d, inner, kinds, order=order_of(windows))


def jais2(config: Config, head: Head) -> Architecture:
    """Jais 2 8B and 70B: LayerNorms, biases, no gate."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *ungated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *(parts.layer_norm(f"layers.{{}}.{name}", d.hidden, d.indices) for name in _TWO),
    )
    feed_forward = FeedForward(d.intermediate, gated=False, activation=config.word("hidden_act"))
    kinds = layer_kinds(config, d, (None,) * d.layers, feed_forward, norm="layer")
    return stacked(config, head, d, inner, kinds, parts.layer_norm("norm", d.hidden))


def hyperclovax(config: Config, head: Head) -> Architecture:
    """HyperCLOVA X SEED Think: Granite, whose layers norm what attention and feed-forward give, too."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    after = ("post_norm1", "post_norm2") if config.flag("use_post_norm") else ()
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *gated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *norms(d, *_TWO, *after),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
    kinds = layer_kinds(config, d, (None,) * d.layers, feed_forward, norms=2 + len(after))
    return stacked(config, head, d, inner, kinds)
