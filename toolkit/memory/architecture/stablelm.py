"""StableLM 2 and StableLM 3B: LLaMA's projections with LayerNorms."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import Dimensions, attention, dimensions, gated, projections
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module

STABLELM_DEFAULTS = {
    "vocab_size": 50304,
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "use_qkv_bias": False,
    "qk_layernorm": False,
    "use_parallel_residual": False,
    "tie_word_embeddings": False,
    "partial_rotary_factor": 0.25,
}


def stablelm(config: Config, head: Head) -> Architecture:
    """With `qk_layernorm` each head has a norm of its own; with a parallel residual a layer has one norm."""
    d = dimensions(config)
    parallel, query_norm = config.flag("use_parallel_residual"), config.flag("qk_layernorm")
    norms = ("input_layernorm",) if parallel else ("input_layernorm", "post_attention_layernorm")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections("layers.{}.self_attn", d, d.indices, bias=config.flag("use_qkv_bias")),
        *(_norms_per_head(d) if query_norm else ()),
        *gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices),
        *(parts.layer_norm(f"layers.{{}}.{name}", d.hidden, d.indices) for name in norms),
        parts.layer_norm("norm", d.hidden),
    )
    kind = LayerKind(
        d.layers,
        attention(config, d, None, query_norm=query_norm),
        FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act")),
        norm="layer",
        norms=len(norms),
        parallel_residual=parallel,
        dropout=config.share("hidden_dropout"),
    )
    body = Body(modules, (kind,), d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body)


def _norms_per_head(d: Dimensions) -> tuple[Module, ...]:
    counts = {"q_layernorm": d.heads, "k_layernorm": d.key_value_heads}
    return tuple(
        parts.norm(f"layers.{{}}.self_attn.{name}.norms.{index}", d.head_dim, d.indices)
        for name, heads in counts.items()
        for index in range(heads)
    )
