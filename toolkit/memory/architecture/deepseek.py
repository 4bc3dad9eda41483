"""DeepSeek V2 and V3 (and R1), GLM 4.7 Flash, Mistral 4: latent attention, dense first layers, then mixtures.

A mixture has shared experts, too.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import gated, order_of
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.mixture import chosen_experts, fused_experts, router
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

DEEPSEEK_V2_DEFAULTS = {
    "vocab_size": 102400,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "moe_intermediate_size": 1407,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "first_k_dense_replace": 0,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
}

DEEPSEEK_V3_DEFAULTS = {
    **DEEPSEEK_V2_DEFAULTS,
    "vocab_size": 129280,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "max_position_embeddings": 4096,
    "first_k_dense_replace": 3,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
}

GLM4_LITE_DEFAULTS = {
    **DEEPSEEK_V3_DEFAULTS,
    "vocab_size": 154880,
    "hidden_size": 2048,
    "intermediate_size": 10240,
    "moe_intermediate_size": 1536,
    "num_hidden_layers": 47,
    "num_attention_heads": 20,
    "max_position_embeddings": 202752,
    "first_k_dense_replace": 1,
    "q_lora_rank": 768,
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "n_routed_experts": 64,
    "num_experts_per_tok": 4,
}

MISTRAL4_DEFAULTS = {
    **DEEPSEEK_V3_DEFAULTS,
    "vocab_size": 131072,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "max_position_embeddings": 1048576,
    "first_k_dense_replace": 0,
    "q_lora_rank": 1024,
    "kv_lora_rank": 256,
    "qk_nope_head_dim": 64,
    "n_routed_experts": 128,
    "num_experts_per_tok": 4,
}

V2_ALIASES = {"n_routed_experts": "num_experts"}
V3_ALIASES = {"n_routed_experts": "num_local_experts"}


def deepseek(config: Config, head: Head) -> Architecture:
    """The main model; transformers does not build the layers that predict several tokens."""
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    count = config.layers("num_hidden_layers")
    dense = _dense_layers(config, count)
    plain, mixed = parts.layer_names(0, dense), parts.layer_names(dense, count)
    every = parts.layer_names(0, count)
    mlp_bias = config.model_type == "deepseek_v2" and config.flag("mlp_bias")
    modules = (
        parts.embedding("embed_tokens", vocabulary, hidden),
        *_latent_attention(config, hidden, every),
        *(gated("layers.{}.mlp", hidden, config.size("intermediate_size"), plain, bias=mlp_bias) if plain else ()),
        *(_mixture(config, hidden, mixed, bias=mlp_bias) if mixed else ()),
        parts.norm("layers.{}.input_layernorm", hidden, every),
        parts.norm("layers.{}.post_attention_layernorm", hidden, every),
        parts.norm("norm", hidden),
    )
    layers = _kinds(config, len(plain), len(mixed))
    positions = config.optional_size("max_position_embeddings")
    order = order_of((False,) * len(plain) + (True,) * len(mixed))
    body = Body(modules, layers, hidden, vocabulary, "model", positions, order=order)
    return with_head(config, head, body)


def _dense_layers(config: Config, layers: int) -> int:
    """How many layers at the start have no mixture: by `mlp_layer_types` (GLM 4.7 Flash), else as a number."""
    types = config.words("mlp_layer_types")
    if types is None:
        return min(config.whole("first_k_dense_replace", 0, MAX_LAYERS), layers)
    dense = types.count("dense")
    if len(types) != layers or types != ("dense",) * dense + ("sparse",) * (layers - dense):
        raise config.refuse(f"mlp_layer_types does not name dense, then sparse for {layers} layers")
    return dense


def _latent_attention(config: Config, hidden: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    path = "layers.{}.self_attn"
    heads = config.heads("num_attention_heads")
    nope, rope, value = (config.size(f"{part}_head_dim") for part in ("qk_nope", "qk_rope", "v"))
    query_rank, rank = config.optional_size("q_lora_rank"), config.size("kv_lora_rank")
    bias = config.flag("attention_bias")
    queries = heads * (nope + rope)
    if query_rank is None:
        query_modules: tuple[Module, ...] = (parts.linear(f"{path}.q_proj", hidden, queries, layers),)
    else:
        query_modules = (
            parts.linear(f"{path}.q_a_proj", hidden, query_rank, layers, bias=bias),
            parts.norm(f"{path}.q_a_layernorm", query_rank, layers),
            parts.linear(f"{path}.q_b_proj", query_rank, queries, layers),
        )
    return (
        *query_modules,
        parts.linear(f"{path}.kv_a_proj_with_mqa", hidden, rank + rope, layers, bias=bias),
        parts.norm(f"{path}.kv_a_layernorm", rank, layers),
        parts.linear(f"{path}.kv_b_proj", rank, heads * (nope + value), layers),
        parts.linear(f"{path}.o_proj", heads * value, hidden, layers, bias=bias),
    )


def _mixture(config: Config, hidden: int, layers: tuple[str, ...], *, bias: bool) -> tuple[Module, ...]:
    experts, width = config.experts("n_routed_experts"), config.size("moe_intermediate_size")
    return (
        fused_experts("layers.{}.mlp.experts", experts, hidden, width, layers),
        router("layers.{}.mlp.gate", experts, hidden, layers),
        *gated("layers.{}.mlp.shared_experts", hidden, _shared_width(config), layers, bias=bias),
    )


def _shared_width(config: Config) -> int:
    return config.size("moe_intermediate_size") * config.experts("n_shared_experts")


def _kinds(config: Config, dense: int, mixed: int) -> tuple[LayerKind, ...]:
    heads, rope = config.heads("num_attention_heads"), config.size("qk_rope_head_dim")
    attention = Attention(
        query_heads=heads,
        key_value_heads=heads,
        head_dim=config.size("qk_nope_head_dim") + rope,
        value_head_dim=config.size("v_head_dim"),
        latent_rank=config.size("kv_lora_rank"),
        rope_dim=rope,
        query_latent_rank=config.optional_size("q_lora_rank"),
        dropout=config.share("attention_dropout"),
    )
    activation = config.word("hidden_act")
    kinds = []
    if dense:
        kinds.append(LayerKind(dense, attention, FeedForward(config.size("intermediate_size"), True, activation)))
    if mixed:
        experts, width = config.experts("n_routed_experts"), config.size("moe_intermediate_size")
        chosen = chosen_experts(config, experts)
        feed_forward = FeedForward(width, True, activation, experts, chosen, _shared_width(config))
        kinds.append(LayerKind(mixed, attention, feed_forward))
    return tuple(kinds)
