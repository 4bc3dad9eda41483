"""GPT-BigCode (SantaCoder, StarCoder): GPT-2 with linears, and one head of keys and values."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.gpt2 import GPT2_DEFAULTS
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

GPT_BIGCODE_DEFAULTS = {**GPT2_DEFAULTS, "activation_function": "gelu_pytorch_tanh", "multi_query": True}


def gpt_bigcode(config: Config, head: Head) -> Architecture:
    """A decoder without cross-attention; with `multi_query` all query heads share keys and values."""
    if config.flag("add_cross_attention"):
        raise config.refuse("cross-attention in GPT-BigCode (add_cross_attention) is not covered")
    hidden, heads, count = config.size("n_embd"), config.heads("n_head"), config.layers("n_layer")
    inner = config.optional_size("n_inner") or 4 * hidden
    vocabulary, positions = config.size("vocab_size"), config.size("n_positions")
    head_dim = split(config, hidden, heads)
    shared = 1 if config.flag("multi_query") else heads
    layers = parts.layer_names(0, count)
    modules = (
        parts.embedding("wte", vocabulary, hidden),
        parts.embedding("wpe", positions, hidden),
        parts.layer_norm("h.{}.ln_1", hidden, layers),
        parts.linear("h.{}.attn.c_attn", hidden, hidden + 2 * shared * head_dim, layers, bias=True),
        parts.linear("h.{}.attn.c_proj", hidden, hidden, layers, bias=True),
        parts.layer_norm("h.{}.ln_2", hidden, layers),
        parts.linear("h.{}.mlp.c_fc", hidden, inner, layers, bias=True),
        parts.linear("h.{}.mlp.c_proj", inner, hidden, layers, bias=True),
        parts.layer_norm("ln_f", hidden),
    )
    kind = LayerKind(
        count,
        Attention(heads, shared, head_dim, head_dim, dropout=config.share("attn_pdrop")),
        FeedForward(inner, gated=False, activation=config.word("activation_function")),
        norm="layer",
        dropout=config.share("resid_pdrop"),
    )
    dropout = config.share("embd_pdrop")
    body = Body(modules, (kind,), hidden, vocabulary, "transformer", positions, embedding_dropout=dropout)
    return with_head(config, head, body, tagger="classifier")
