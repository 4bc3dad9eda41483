"""BLOOM: ALiBi positions, q, k and v in one projection, a norm after the embedding."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

BLOOM_DEFAULTS = {
    "vocab_size": 250880,
    "hidden_size": 64,
    "n_layer": 2,
    "n_head": 8,
    "tie_word_embeddings": True,
}

BLOOM_ALIASES = {"n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "hidden_size": "n_embed"}


def bloom(config: Config, head: Head) -> Architecture:
    """BLOOM 560M to 176B. Positions are unbounded, so `max_positions` is None."""
    hidden, heads, count = config.size("hidden_size"), config.heads("n_head"), config.layers("n_layer")
    vocabulary, head_dim = config.size("vocab_size"), split(config, hidden, heads)
    layers = parts.layer_names(0, count)
    modules = (
        parts.embedding("word_embeddings", vocabulary, hidden),
        parts.layer_norm("word_embeddings_layernorm", hidden),
        parts.layer_norm("h.{}.input_layernorm", hidden, layers),
        parts.linear("h.{}.self_attention.query_key_value", hidden, 3 * hidden, layers, bias=True),
        parts.linear("h.{}.self_attention.dense", hidden, hidden, layers, bias=True),
        parts.layer_norm("h.{}.post_attention_layernorm", hidden, layers),
        parts.linear("h.{}.mlp.dense_h_to_4h", hidden, 4 * hidden, layers, bias=True),
        parts.linear("h.{}.mlp.dense_4h_to_h", 4 * hidden, hidden, layers, bias=True),
        parts.layer_norm("ln_f", hidden),
    )
    kind = LayerKind(
        count,
        Attention(heads, heads, head_dim, head_dim, dropout=config.share("attention_dropout"), alibi=True),
        FeedForward(4 * hidden, gated=False, activation="bloom_gelu"),
        norm="layer",
        dropout=config.share("hidden_dropout"),
    )
    body = Body(modules, (kind,), hidden, vocabulary, "transformer")
    return with_head(config, head, body, tagger="classifier")
