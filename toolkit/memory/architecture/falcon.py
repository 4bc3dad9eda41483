"""Falcon: the 7B form with one key-value head, and the 40B form with groups and two norms a layer."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

FALCON_DEFAULTS = {
    "vocab_size": 65024,
    "hidden_size": 4544,
    "num_hidden_layers": 32,
    "num_attention_heads": 71,
    "new_decoder_architecture": False,
    "multi_query": True,
    "parallel_attn": True,
    "bias": False,
    "alibi": False,
    "activation": "gelu",
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}

FALCON_ALIASES = {"hidden_size": "n_embed"}


def falcon(config: Config, head: Head) -> Architecture:
    """Its linears are of a subclass, which transformers 5 leaves unquantized (it asks for the exact type)."""
    hidden, heads = config.size("hidden_size"), config.heads("num_attention_heads")
    vocabulary, head_dim = config.size("vocab_size"), split(config, hidden, heads)
    inner = config.optional_size("ffn_hidden_size") or 4 * hidden
    count = config.layers("num_hidden_layers")
    layers, bias, groups = parts.layer_names(0, count), config.flag("bias"), _key_value_heads(config, heads)
    linears = {
        "self_attention.query_key_value": (hidden, (heads + 2 * groups) * head_dim),
        "self_attention.dense": (hidden, hidden),
        "mlp.dense_h_to_4h": (hidden, inner),
        "mlp.dense_4h_to_h": (inner, hidden),
    }
    norms = _norms(config)
    modules = (
        parts.embedding("word_embeddings", vocabulary, hidden),
        *(
            parts.linear(f"h.{{}}.{name}", inputs, outputs, layers, bias=bias, quantized=False)
            for name, (inputs, outputs) in linears.items()
        ),
        *(parts.layer_norm(f"h.{{}}.{name}", hidden, layers) for name in norms),
        parts.layer_norm("ln_f", hidden),
    )
    kind = LayerKind(
        count,
        Attention(
            heads,
            groups,
            head_dim,
            head_dim,
            dropout=config.share("attention_dropout"),
            alibi=config.flag("alibi"),
            always_masked=True,
            caches_queries=config.flag("new_decoder_architecture"),  # modeling_falcon.py, FalconAttention._split_heads
        ),
        FeedForward(inner, gated=False, activation=config.word("activation")),
        norm="layer",
        norms=len(norms),
        parallel_residual=config.flag("parallel_attn"),
        dropout=config.share("hidden_dropout"),
    )
    positions = config.optional_size("max_position_embeddings")
    body = Body(modules, (kind,), hidden, vocabulary, "transformer", positions)
    return with_head(config, head, body, tagger="classifier")


def _key_value_heads(config: Config, heads: int) -> int:
    if config.flag("new_decoder_architecture"):
        return heads if config.value("num_kv_heads") is None else config.heads("num_kv_heads")
    return 1 if config.flag("multi_query") else heads


def _norms(config: Config) -> tuple[str, ...]:
    """The norms of a layer. The newer form has two side by side unless `num_ln_in_parallel_attn` says one."""
    if not config.flag("parallel_attn"):
        return ("post_attention_layernorm", "input_layernorm")
    given = config.optional_size("num_ln_in_parallel_attn")
    two = given == 2 if given is not None else config.flag("new_decoder_architecture")
    return ("ln_attn", "ln_mlp") if two else ("input_layernorm",)
