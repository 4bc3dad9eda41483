"""GPT-Neo: GPT-2 with linears, a window in every other layer, and attention written out in float32."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

GPT_NEO_DEFAULTS = {
    "vocab_size": 50257,
    "max_position_embeddings": 2048,
    "hidden_size": 2048,
    "num_layers": 24,
    "num_heads": 16,
    "attention_types": [[["global", "local"], 12]],
    "activation_function": "gelu_new",
    "tie_word_embeddings": True,
}

GPT_NEO_ALIASES = {"num_heads": "num_attention_heads", "num_layers": "num_hidden_layers"}


def gpt_neo(config: Config, head: Head) -> Architecture:
    """GPT-Neo 125M, 1.3B and 2.7B."""
    hidden, count = config.size("hidden_size"), config.layers("num_layers")
    inner = config.optional_size("intermediate_size") or 4 * hidden
    vocabulary, positions = config.size("vocab_size"), config.size("max_position_embeddings")
    layers = parts.layer_names(0, count)
    names = ("k_proj", "v_proj", "q_proj")
    modules = (
        parts.embedding("wte", vocabulary, hidden),
        parts.embedding("wpe", positions, hidden),
        parts.layer_norm("h.{}.ln_1", hidden, layers),
        *(parts.linear(f"h.{{}}.attn.attention.{name}", hidden, hidden, layers) for name in names),
        parts.linear("h.{}.attn.attention.out_proj", hidden, hidden, layers, bias=True),
        parts.layer_norm("h.{}.ln_2", hidden, layers),
        parts.linear("h.{}.mlp.c_fc", hidden, inner, layers, bias=True),
        parts.linear("h.{}.mlp.c_proj", inner, hidden, layers, bias=True),
        parts.layer_norm("ln_f", hidden),
    )
    dropout = config.share("embed_dropout")
    _refuse_types(config, count)
    body = Body(
        modules,
        (_kind(config, hidden, inner, count),),
        hidden,
        vocabulary,
        "transformer",
        positions,
        embedding_dropout=dropout,
    )
    return with_head(config, head, body, tagger="classifier")


def _kind(config: Config, hidden: int, inner: int, count: int) -> LayerKind:
    """All layers: a window is a mask of scores that are worked out anyway, and keys are kept of all tokens."""
    heads = config.heads("num_heads")
    head_dim = split(config, hidden, heads)
    return LayerKind(
        count,
        Attention(heads, heads, head_dim, head_dim, dropout=config.share("attention_dropout"), written=True),
        FeedForward(inner, gated=False, activation=config.word("activation_function")),
        norm="layer",
        dropout=config.share("resid_dropout"),
    )


def _refuse_types(config: Config, layers: int) -> None:
    """Raise where `attention_types`, lists of kinds each with how often it is repeated, are not of all layers."""
    given = config.value("attention_types")
    found = 0
    for item in given if isinstance(given, list) and len(given) <= MAX_LAYERS else ():
        match item:
            case [[*kinds], int(times)] if set(map(str, kinds)) <= {"global", "local"} and len(kinds) * times <= layers:
                found += len(kinds) * times
            case _:
                break
    if found != layers:
        raise config.refuse(f"attention_types does not name the kinds of {layers} layers")
