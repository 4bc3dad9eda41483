"""MPT: ALiBi positions, q, k and v in one projection, no biases, attention written out."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

MPT_DEFAULTS = {
    "d_model": 2048,
    "n_heads": 16,
    "n_layers": 24,
    "max_seq_len": 2048,
    "vocab_size": 50368,
    "attn_config": {},
    "tie_word_embeddings": True,
}

MPT_ALIASES = {"d_model": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers"}


def mpt(config: Config, head: Head) -> Architecture:
    """MPT 7B and 30B. Its feed-forward is four times as wide, whatever `expansion_ratio` says."""
    hidden, heads, count = config.size("d_model"), config.heads("n_heads"), config.layers("n_layers")
    vocabulary, head_dim = config.size("vocab_size"), split(config, hidden, heads)
    attention = config.part("attn_config", "mpt", {})
    layers = parts.layer_names(0, count)
    modules = (
        parts.embedding("wte", vocabulary, hidden),
        parts.norm("blocks.{}.norm_1", hidden, layers),
        parts.linear("blocks.{}.attn.Wqkv", hidden, 3 * hidden, layers),
        parts.linear("blocks.{}.attn.out_proj", hidden, hidden, layers),
        parts.norm("blocks.{}.norm_2", hidden, layers),
        parts.linear("blocks.{}.ffn.up_proj", hidden, 4 * hidden, layers),
        parts.linear("blocks.{}.ffn.down_proj", 4 * hidden, hidden, layers),
        parts.norm("norm_f", hidden),
    )
    dropout = attention.share("attn_pdrop")
    kind = LayerKind(
        count,
        Attention(heads, heads, head_dim, head_dim, dropout=dropout, alibi=True, written=True),
        FeedForward(4 * hidden, gated=False, activation="gelu"),
        norm="layer",
        dropout=dropout,
    )
    body = Body(modules, (kind,), hidden, vocabulary, "transformer", config.size("max_seq_len"))
    return with_head(config, head, body, tagger="classifier")
