"""OPT: learned positions; the 350M model alone projects a narrower embedding and norms after."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import Body, Head, prefixed
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

OPT_DEFAULTS = {
    "vocab_size": 50272,
    "hidden_size": 768,
    "ffn_dim": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 2048,
    "do_layer_norm_before": True,
    "_remove_final_layer_norm": False,
    "word_embed_proj_dim": 768,
    "dropout": 0.1,
    "activation_function": "relu",
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
    "tie_word_embeddings": True,
}

POSITION_OFFSET = 2
"""Rows of the position table before the first position."""


def opt(config: Config, head: Head) -> Architecture:
    """OPT 125M to 66B."""
    if not config.flag("layer_norm_elementwise_affine"):
        raise config.refuse("LayerNorms without weights (layer_norm_elementwise_affine false) are not covered")
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    width = config.optional_size("word_embed_proj_dim") or hidden
    positions, count = config.size("max_position_embeddings"), config.layers("num_hidden_layers")
    last_norm = config.flag("do_layer_norm_before") and not config.flag("_remove_final_layer_norm")
    modules = (
        parts.embedding("embed_tokens", vocabulary, width),
        parts.embedding("embed_positions", positions + POSITION_OFFSET, hidden),
        *(_projections(hidden, width) if width != hidden else ()),
        *((parts.layer_norm("final_layer_norm", hidden),) if last_norm else ()),
        *_layers(config, hidden, parts.layer_names(0, count)),
    )
    inside, kind = prefixed(modules, "decoder"), _kind(config, hidden, count)
    body = Body(inside, (kind,), hidden, vocabulary, "model", positions, width)
    return with_head(config, head, body)


def _projections(hidden: int, width: int) -> tuple[Module, ...]:
    return parts.linear("project_out", hidden, width), parts.linear("project_in", width, hidden)


def _kind(config: Config, hidden: int, count: int) -> LayerKind:
    heads = config.heads("num_attention_heads")
    head_dim = split(config, hidden, heads)
    return LayerKind(
        count,
        Attention(heads, heads, head_dim, head_dim, dropout=config.share("attention_dropout")),
        FeedForward(config.size("ffn_dim"), gated=False, activation=config.word("activation_function")),
        norm="layer",
        dropout=config.share("dropout"),
    )


def _layers(config: Config, hidden: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    inner, bias = config.size("ffn_dim"), config.flag("enable_bias")
    names = ("k_proj", "v_proj", "q_proj", "out_proj")
    return (
        *(parts.linear(f"layers.{{}}.self_attn.{name}", hidden, hidden, layers, bias=bias) for name in names),
        parts.layer_norm("layers.{}.self_attn_layer_norm", hidden, layers),
        parts.linear("layers.{}.fc1", hidden, inner, layers, bias=bias),
        parts.linear("layers.{}.fc2", inner, hidden, layers, bias=bias),
        parts.layer_norm("layers.{}.final_layer_norm", hidden, layers),
    )
