"""OLMo, whose LayerNorms have no weights; OLMo 2 and 3, which norm what attention and feed-forward give."""

from __future__ import annotations

from dataclasses import replace

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
    norms,
    order_of,
    projections,
    stacked,
)
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.model import Architecture, FeedForward, Module

OLMO_DEFAULTS = {**LLAMA_DEFAULTS, "vocab_size": 50304}
OLMO3_DEFAULTS = {**OLMO_DEFAULTS, "sliding_window": 4096}

_ATTENTION = "layers.{}.self_attn"


def olmo(config: Config, head: Head) -> Architecture:
    """OLMo 1B and 7B: norms without parameters; `clip_qkv` clips queries, keys and values in place."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *_fed(config, d),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
    clips = config.value("clip_qkv") is not None
    kinds = layer_kinds(config, d, (None,) * d.layers, feed_forward, norm="bare layer", clips=clips)
    body = Body(modules, kinds, d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body)


def _fed(config: Config, d: Dimensions) -> tuple[Module, ...]:
    """The feed-forward: of a model whose head is tied the last linear ends the parameters, and is not quantized.

    Source: transformers quantizers/base.py, get_keys_to_not_convert.
    """
    *inner, down = gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices)
    if not config.flag("tie_word_embeddings"):
        return *inner, down
    last = replace(down, layers=d.indices[-1:], quantized=False)
    return *inner, *((last, replace(down, layers=d.indices[:-1])) if d.layers > 1 else (last,))


def olmo2(config: Config, head: Head) -> Architecture:
    """OLMo 2: norms over all heads of queries and of keys, full attention."""
    d = dimensions(config)
    return _normed_after(config, head, d, (None,) * d.layers)


def olmo3(config: Config, head: Head) -> Architecture:
    """OLMo 3: three layers of four have a window."""
    d = dimensions(config)
    pattern = tuple(SLIDING if (index + 1) % 4 else FULL for index in range(d.layers))
    return _normed_after(config, head, d, layer_windows(config, d.layers, pattern))


def _normed_after(config: Config, head: Head, d: Dimensions, windows: tuple[int | None, ...]) -> Architecture:
    bias = config.flag("attention_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *_wide_norms(d),
        *gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices),
        *norms(d, "post_attention_layernorm", "post_feedforward_layernorm"),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
    kinds = layer_kinds(config, d, windows, feed_forward, query_norm=True)
    return stacked(config, head, d, inner, kinds, order=order_of(windows))


def _wide_norms(d: Dimensions) -> tuple[Module, ...]:
    """The norms of queries and keys, each over all of its heads together."""
    return (
        parts.norm(f"{_ATTENTION}.q_norm", d.heads * d.head_dim, d.indices),
        parts.norm(f"{_ATTENTION}.k_norm", d.key_value_heads * d.head_dim, d.indices),
    )
