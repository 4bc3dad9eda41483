"""LLaMA and those of its shape: Mistral, Qwen2, Qwen3; Yi and others are published as type llama.

Module names and defaults of configs are those of transformers 5.23.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import (
    FULL,
    SLIDING,
    Dimensions,
    dimensions,
    gated,
    layer_kinds,
    layer_windows,
    order_of,
    projections,
    query_key_norms,
)
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, FeedForward, Module

LLAMA_DEFAULTS = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}

MISTRAL_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
}

QWEN2_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "sliding_window": 4096,
    "max_window_layers": 28,
}

QWEN3_DEFAULTS = {**QWEN2_DEFAULTS, "head_dim": 128}


def llama(config: Config, head: Head) -> Architecture:
    """LLaMA 1 to 3, and every model published as one."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    middle = projections("layers.{}.self_attn", d, d.indices, bias=bias, output_bias=bias)
    return _model(config, head, d, middle, (None,) * d.layers, mlp_bias=config.flag("mlp_bias"))


def mistral(config: Config, head: Head) -> Architecture:
    """Mistral 7B and Nemo: the window, where there is one, is that of every layer."""
    d = dimensions(config)
    middle = projections("layers.{}.self_attn", d, d.indices)
    return _model(config, head, d, middle, (config.optional_size("sliding_window"),) * d.layers)


def qwen2(config: Config, head: Head) -> Architecture:
    """Qwen1.5, Qwen2 and Qwen2.5: biases on q, k and v."""
    d = dimensions(config)
    middle = projections("layers.{}.self_attn", d, d.indices, bias=True)
    return _model(config, head, d, middle, late_windows(config, d.layers))


def qwen3(config: Config, head: Head) -> Architecture:
    """Qwen3: no biases, norms on queries and keys."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    attention = "layers.{}.self_attn"
    middle = projections(attention, d, d.indices, bias=bias, output_bias=bias) + query_key_norms(
        attention, d, d.indices
    )
    return _model(config, head, d, middle, late_windows(config, d.layers), query_norm=True)


def late_windows(config: Config, layers: int) -> tuple[int | None, ...]:
    """Qwen's rule: with `use_sliding_window`, the layers from `max_window_layers` on have a window."""
    if not config.flag("use_sliding_window") or config.value("sliding_window") is None:
        return (None,) * layers
    first = config.whole("max_window_layers", 0, 1 << 20)
    pattern = tuple(SLIDING if index >= first else FULL for index in range(layers))
    return layer_windows(config, layers, pattern)


def _model(
    config: Config,
    head: Head,
    d: Dimensions,
    middle: tuple[Module, ...],
    windows: tuple[int | None, ...],
    *,
    mlp_bias: bool = False,
    query_norm: bool = False,
) -> Architecture:
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *middle,
        *gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices, bias=mlp_bias),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
    layers = layer_kinds(config, d, windows, feed_forward, query_norm=query_norm)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order_of(windows))
    return with_head(config, head, body)


def surrounding_norms(d: Dimensions, *, float32_with_fp16: bool = False) -> tuple[Module, ...]:
    """The RMSNorms before attention and before the feed-forward of every layer."""
    return tuple(
        parts.norm(f"layers.{{}}.{name}", d.hidden, d.indices, float32_with_fp16=float32_with_fp16)
        for name in ("input_layernorm", "post_attention_layernorm")
    )
