"""Phi 1 to 2 (a parallel residual, biases everywhere) and Phi 3 and 4 (fused projections)."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import attention, dimensions, layer_kinds, split
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import surrounding_norms
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind

PHI_DEFAULTS = {
    "vocab_size": 51200,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "hidden_act": "gelu_new",
    "max_position_embeddings": 2048,
    "qk_layernorm": False,
    "tie_word_embeddings": False,
    "partial_rotary_factor": 0.5,
}

PHI3_DEFAULTS = {
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}


def phi(config: Config, head: Head) -> Architecture:
    """Phi 1, 1.5 and 2: attention and feed-forward read the same norm."""
    d = dimensions(config)
    path = "layers.{}.self_attn"
    query_norm = config.flag("qk_layernorm")
    head_width = split(config, d.hidden, d.heads)
    outputs = {"q_proj": d.heads, "k_proj": d.key_value_heads, "v_proj": d.key_value_heads}
    norms = ("q_layernorm", "k_layernorm") if query_norm else ()
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *(
            parts.linear(f"{path}.{name}", d.hidden, heads * d.head_dim, d.indices, bias=True)
            for name, heads in outputs.items()
        ),
        parts.linear(f"{path}.dense", d.heads * d.head_dim, d.hidden, d.indices, bias=True),
        *(parts.layer_norm(f"{path}.{name}", head_width, d.indices) for name in norms),
        parts.linear("layers.{}.mlp.fc1", d.hidden, d.intermediate, d.indices, bias=True),
        parts.linear("layers.{}.mlp.fc2", d.intermediate, d.hidden, d.indices, bias=True),
        parts.layer_norm("layers.{}.input_layernorm", d.hidden, d.indices),
        parts.layer_norm("final_layernorm", d.hidden),
    )
    kind = LayerKind(
        d.layers,
        attention(config, d, None, query_norm=query_norm),
        FeedForward(d.intermediate, gated=False, activation=config.word("hidden_act")),
        norm="layer",
        norms=1,
        parallel_residual=True,
        dropout=config.share("resid_pdrop"),
    )
    body = Body(modules, (kind,), d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body, head_bias=True)


def phi3(config: Config, head: Head) -> Architecture:
    """Phi 3, 3.5 and 4: q, k and v in one projection, gate and up in another."""
    d = dimensions(config)
    projected = (d.heads + 2 * d.key_value_heads) * d.head_dim
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        parts.linear("layers.{}.self_attn.o_proj", d.heads * d.head_dim, d.hidden, d.indices),
        parts.linear("layers.{}.self_attn.qkv_proj", d.hidden, projected, d.indices),
        parts.linear("layers.{}.mlp.gate_up_proj", d.hidden, 2 * d.intermediate, d.indices),
        parts.linear("layers.{}.mlp.down_proj", d.intermediate, d.hidden, d.indices),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    window = config.optional_size("sliding_window")
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
    layers = layer_kinds(config, d, (window,) * d.layers, feed_forward, dropout=config.share("resid_pdrop"))
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body)
