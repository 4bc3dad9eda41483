"""The first Qwen, whose code (modeling_qwen.py) comes with its checkpoint, not with transformers."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

# The defaults of QWenConfig in configuration_qwen.py.
QWEN_DEFAULTS = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "kv_channels": 128,
    "seq_length": 8192,
    "no_bias": True,
    "attn_dropout_prob": 0.0,
    "emb_dropout_prob": 0.0,
    "tie_word_embeddings": False,
}


def qwen(config: Config, head: Head) -> Architecture:
    """A biased projection for q, k and v; `intermediate_size` counts gate and up together."""
    hidden, heads = config.size("hidden_size"), config.heads("num_attention_heads")
    head_dim, inner = config.size("kv_channels"), config.size("intermediate_size") // 2
    vocabulary, count = config.size("vocab_size"), config.layers("num_hidden_layers")
    layers, bias = parts.layer_names(0, count), not config.flag("no_bias")
    modules = (
        parts.embedding("wte", vocabulary, hidden),
        parts.norm("h.{}.ln_1", hidden, layers),
        parts.linear("h.{}.attn.c_attn", hidden, 3 * heads * head_dim, layers, bias=True),
        parts.linear("h.{}.attn.c_proj", heads * head_dim, hidden, layers, bias=bias),
        parts.norm("h.{}.ln_2", hidden, layers),
        parts.linear("h.{}.mlp.w1", hidden, inner, layers, bias=bias),
        parts.linear("h.{}.mlp.w2", hidden, inner, layers, bias=bias),
        parts.linear("h.{}.mlp.c_proj", inner, hidden, layers, bias=bias),
        parts.norm("ln_f", hidden),
    )
    attention = Attention(
        heads, heads, head_dim, head_dim, dropout=config.share("attn_dropout_prob"), always_masked=True
    )
    kind = LayerKind(count, attention, FeedForward(inner, gated=True, activation="silu"))
    positions = config.optional_size("seq_length")
    dropout = config.share("emb_dropout_prob")
    body = Body(modules, (kind,), hidden, vocabulary, "transformer", positions, embedding_dropout=dropout)
    return with_head(config, head, body)
