"""GPT-2 and DistilGPT-2: transposed linears (Conv1D), learned positions."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

GPT2_DEFAULTS = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
    "activation_function": "gelu_new",
    "resid_pdrop": 0.1,
    "attn_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}

GPT2_ALIASES = {
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
}


def gpt2(config: Config, head: Head) -> Architecture:
    """A decoder without cross-attention."""
    if config.flag("add_cross_attention"):
        raise config.refuse("cross-attention in GPT-2 (add_cross_attention) is not covered")
    hidden, heads, count = config.size("n_embd"), config.heads("n_head"), config.layers("n_layer")
    inner = config.optional_size("n_inner") or 4 * hidden
    vocabulary, positions = config.size("vocab_size"), config.size("n_positions")
    head_dim = split(config, hidden, heads)
    layers = parts.layer_names(0, count)
    modules = (
        parts.embedding("wte", vocabulary, hidden),
        parts.embedding("wpe", positions, hidden),
        parts.layer_norm("h.{}.ln_1", hidden, layers),
        parts.conv1d("h.{}.attn.c_attn", hidden, 3 * hidden, layers),
        parts.conv1d("h.{}.attn.c_proj", hidden, hidden, layers),
        parts.layer_norm("h.{}.ln_2", hidden, layers),
        parts.conv1d("h.{}.mlp.c_fc", hidden, inner, layers),
        parts.conv1d("h.{}.mlp.c_proj", inner, hidden, layers),
        parts.layer_norm("ln_f", hidden),
    )
    kind = LayerKind(
        count,
        Attention(heads, heads, head_dim, head_dim, dropout=config.share("attn_pdrop")),
        FeedForward(inner, gated=False, activation=config.word("activation_function")),
        norm="layer",
        dropout=config.share("resid_pdrop"),
    )
    dropout = config.share("embd_pdrop")
    body = Body(modules, (kind,), hidden, vocabulary, "transformer", positions, embedding_dropout=dropout)
    return with_head(config, head, body, tagger="classifier")
