"""GPT-J and CodeGen: a parallel residual with one norm, and attention written out in float32."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.gpt2 import GPT2_ALIASES
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

GPTJ_DEFAULTS = {
    "vocab_size": 50400,
    "n_positions": 2048,
    "n_embd": 4096,
    "n_layer": 28,
    "n_head": 16,
    "rotary_dim": 64,
    "activation_function": "gelu_new",
    "tie_word_embeddings": False,
}

GPTJ_ALIASES = GPT2_ALIASES


def gptj(config: Config, head: Head) -> Architecture:
    """GPT-J 6B: q, k and v apart."""
    hidden, layers = config.size("n_embd"), parts.layer_names(0, config.layers("n_layer"))
    names = ("k_proj", "v_proj", "q_proj")
    return _model(config, head, tuple(parts.linear(f"h.{{}}.attn.{name}", hidden, hidden, layers) for name in names))


def codegen(config: Config, head: Head) -> Architecture:
    """CodeGen 350M to 16B: q, k and v in one projection."""
    hidden, layers = config.size("n_embd"), parts.layer_names(0, config.layers("n_layer"))
    return _model(config, head, (parts.linear("h.{}.attn.qkv_proj", hidden, 3 * hidden, layers),))


def _model(config: Config, head: Head, inputs: tuple[Module, ...]) -> Architecture:
    hidden, heads, count = config.size("n_embd"), config.heads("n_head"), config.layers("n_layer")
    inner = config.optional_size("n_inner") or 4 * hidden
    vocabulary, head_dim = config.size("vocab_size"), split(config, hidden, heads)
    layers = parts.layer_names(0, count)
    modules = (
        parts.embedding("wte", vocabulary, hidden),
        parts.layer_norm("h.{}.ln_1", hidden, layers),
        *inputs,
        parts.linear("h.{}.attn.out_proj", hidden, hidden, layers),
        parts.linear("h.{}.mlp.fc_in", hidden, inner, layers, bias=True),
        parts.linear("h.{}.mlp.fc_out", inner, hidden, layers, bias=True),
        parts.layer_norm("ln_f", hidden),
    )
    kind = LayerKind(
        count,
        Attention(
            heads,
            heads,
            head_dim,
            head_dim,
            rope_dim=config.optional_size("rotary_dim"),
            dropout=config.share("attn_pdrop"),
            written=True,
        ),
        FeedForward(inner, gated=False, activation=config.word("activation_function")),
        norm="layer",
        norms=1,
        parallel_residual=True,
        dropout=config.share("resid_pdrop"),
    )
    dropout = config.share("embd_pdrop")
    positions = config.size("n_positions")
    body = Body(modules, (kind,), hidden, vocabulary, "transformer", positions, embedding_dropout=dropout)
    return with_head(config, head, body, head_bias=True)
