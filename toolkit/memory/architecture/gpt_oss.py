"""gpt-oss: a mixture with biased, fused experts, attention sinks, and a window in every other layer."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import (
    FULL,
    SLIDING,
    dimensions,
    layer_kinds,
    layer_windows,
    order_of,
    projections,
)
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import surrounding_norms
from toolkit.memory.architecture.mixture import chosen_experts, router
from toolkit.memory.architecture.model import Architecture, FeedForward, Module, Tensor

GPT_OSS_DEFAULTS = {
    "vocab_size": 201088,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "sliding_window": 128,
    "attention_bias": True,
    "tie_word_embeddings": False,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
}


def gpt_oss(config: Config, head: Head) -> Architecture:
    """gpt-oss 20B and 120B. transformers keeps its norms in float32 when it loads float16."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    experts = config.experts("num_local_experts")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        parts.bare("layers.{}.self_attn", (Tensor("sinks", (d.heads,)),), d.indices),
        *projections("layers.{}.self_attn", d, d.indices, bias=bias, output_bias=bias),
        router("layers.{}.mlp.router", experts, d.hidden, d.indices, bias=True),
        _experts(experts, d.hidden, d.intermediate, d.indices),
        *surrounding_norms(d, float32_with_fp16=True),
        parts.norm("norm", d.hidden, float32_with_fp16=True),
    )
    alternate = tuple(FULL if index % 2 else SLIDING for index in range(d.layers))
    feed_forward = FeedForward(
        d.intermediate, True, config.word("hidden_act"), experts, chosen_experts(config, experts)
    )
    windows = layer_windows(config, d.layers, alternate)
    layers = layer_kinds(config, d, windows, feed_forward, sinks=True)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order_of(windows))
    return with_head(config, head, body)


def _experts(experts: int, hidden: int, intermediate: int, layers: tuple[str, ...]) -> Module:
    """The experts, with inputs before outputs: the opposite order of the other mixtures."""
    tensors = (
        Tensor("gate_up_proj", (experts, hidden, 2 * intermediate)),
        Tensor("gate_up_proj_bias", (experts, 2 * intermediate)),
        Tensor("down_proj", (experts, intermediate, hidden)),
        Tensor("down_proj_bias", (experts, hidden)),
    )
    return parts.experts("layers.{}.mlp.experts", tensors, layers)
