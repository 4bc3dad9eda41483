"""GPT-2 and DistilGPT-2: transposed linears (Conv1D), learned positions."""

from __future__ import annotations

from collections.abc import Callable

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

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


Matrix = Callable[[str, int, int, tuple[str, ...]], Module]


def gpt2(config: Config, head: Head) -> Architecture:
    """A decoder without cross-attention."""
    return gpt2_layers(config, head, parts.conv1d, "GPT-2")


def gpt2_layers(config: Config, head: Head, matrix: Matrix, name: str, shared: int | None = None) -> Architecture:
    """A decoder of GPT-2's layers, with its matrices as `matrix` makes them.

    `shared` is the number of heads of keys and values, None where each query head has its own. `name` says whose
    cross-attention is refused.
    """
    if config.flag("add_cross_attention"):
        raise config.refuse(f"cross-attention in {name} (add_cross_attention) is not covered")
    hidden, heads, count = config.size("n_embd"), config.heads("n_head"), config.layers("n_layer")
    inner = config.optional_size("n_inner") or 4 * hidden
    vocabulary, positions = config.size("vocab_size"), config.size("n_positions")
    head_dim = split(config, hidden, heads)
    key_heads = heads if shared is None else shared
    layers = parts.layer_names(0, count)
    modules = (
        parts.embedding("wte", vocabulary, hidden),
        parts.embedding("wpe", positions, hidden),
        parts.layer_norm("h.{}.ln_1", hidden, layers),
        matrix("h.{}.attn.c_attn", hidden, hidden + 2 * key_heads * head_dim, layers),
        matrix("h.{}.attn.c_proj", hidden, hidden, layers),
        parts.layer_norm("h.{}.ln_2", hidden, layers),
        matrix("h.{}.mlp.c_fc", hidden, inner, layers),
        matrix("h.{}.mlp.c_proj", inner, hidden, layers),
        parts.layer_norm("ln_f", hidden),
    )
    kind = LayerKind(
        count,
        Attention(heads, key_heads, head_dim, head_dim, dropout=config.share("attn_pdrop")),
        FeedForward(inner, gated=False, activation=config.word("activation_function")),
        norm="layer",
        dropout=config.share("resid_pdrop"),
    )
    dropout = config.share("embd_pdrop")
    body = Body(modules, (kind,), hidden, vocabulary, "transformer", positions, embedding_dropout=dropout)
    return with_head(config, head, body, tagger="classifier")
