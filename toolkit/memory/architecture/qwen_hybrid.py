"""Qwen3-Next and Qwen3.5: three layers of linear attention with a state of one size, then one of full attention.

Source: transformers 5.23 modeling_qwen3_next.py, modeling_qwen3_5.py and modeling_qwen3_5_moe.py. What a pass through
the gated delta rule needs depends on kernels that may or may not be installed (flash-linear-attention, causal-conv1d),
so that parameters are counted here and activations are not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import FULL, Dimensions, attention, dimensions, gated, query_key_norms
from toolkit.memory.architecture.heads import Body, Head, prefixed
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, surrounding_norms
from toolkit.memory.architecture.mixers import DeltaNet
from toolkit.memory.architecture.mixture import chosen_experts, routed, sparse_and_dense
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor
from toolkit.memory.architecture.qwen2_moe import shared_expert
from toolkit.memory.architecture.vision_language import NOTE

_LINEAR = "linear_attention"

_HYBRID = {
    **LLAMA_DEFAULTS,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "max_position_embeddings": 32768,
    "partial_rotary_factor": 0.25,
    "full_attention_interval": 4,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
}
_EXPERTS = {"decoder_sparse_step": 1, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512}

QWEN3_NEXT_DEFAULTS = {
    **_HYBRID,
    **_EXPERTS,
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 48,
    "num_experts_per_tok": 10,
    "num_experts": 512,
}
QWEN3_5_DEFAULTS = {
    **_HYBRID,
    "vocab_size": 248320,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_key_value_heads": 4,
}
QWEN3_5_MOE_DEFAULTS = {
    **_HYBRID,
    **_EXPERTS,
    "vocab_size": 248320,
    "hidden_size": 2048,
    "num_hidden_layers": 40,
    "num_experts_per_tok": 8,
    "num_experts": 256,
}
VISION_DEFAULTS = {
    "depth": 27,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "in_channels": 3,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 3584,
    "num_position_embeddings": 2304,
}


def qwen3_next(config: Config, head: Head) -> Architecture:
    """Qwen3-Next 80B-A3B; transformers does not build the layers that predict several tokens."""
    return with_head(config, head, _body(config, joined=True, mixed=True))


def qwen3_5(config: Config, head: Head) -> Architecture:
    """The text model of Qwen3.5, dense."""
    return with_head(config, head, _body(config, joined=False, mixed=False))


def qwen3_5_moe(config: Config, head: Head) -> Architecture:
    """The text model of Qwen3.5, with experts."""
    return with_head(config, head, _body(config, joined=False, mixed=True))


def qwen3_5_vision(config: Config, head: Head) -> Architecture:
    """Qwen3.5 with its vision tower, dense."""
    text = config.part("text_config", "qwen3_5_text", QWEN3_5_DEFAULTS)
    return _with_vision(config, head, _body(text, joined=False, mixed=False))


def qwen3_5_moe_vision(config: Config, head: Head) -> Architecture:
    """Qwen3.5 with its vision tower, with experts."""
    text = config.part("text_config", "qwen3_5_moe_text", QWEN3_5_MOE_DEFAULTS)
    return _with_vision(config, head, _body(text, joined=False, mixed=True))


def _with_vision(config: Config, head: Head, body: Body) -> Architecture:
    vision = config.part("vision_config", "qwen3_5_vision", VISION_DEFAULTS)
    modules = (*prefixed(_vision_tower(vision), "visual"), *prefixed(body.modules, "language_model"))
    notes = (NOTE, "AutoModelForCausalLM of transformers 5 leaves it out; TRL loads the class that the config names.")
    made = with_head(config, head, replace(body, modules=modules, notes=notes))
    return replace(made, caches_in_training=True)


def _body(config: Config, *, joined: bool, mixed: bool) -> Body:
    d = dimensions(config)
    types = _types(config, d.layers)
    linear = tuple(index for index, kind in zip(d.indices, types, strict=True) if kind == _LINEAR)
    full = tuple(index for index, kind in zip(d.indices, types, strict=True) if kind == FULL)
    experts, feed_forwards = _mixtures(config, d, everywhere=not joined) if mixed else _dense(config, d)
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *(_delta_net(config, d.hidden, linear, joined=joined) if linear else ()),
        *(_gated_attention(config, d, full) if full else ()),
        *experts,
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    kinds = Counter(zip(types, feed_forwards, strict=True))
    layers = tuple(
        LayerKind(
            count,
            attention(config, d, None, query_norm=True, recurrent=kind == _LINEAR, gated=True),
            feed_forward,
            mixer=_net(config) if kind == _LINEAR else None,
        )
        for (kind, feed_forward), count in kinds.items()
    )
    places = {kind: place for place, kind in enumerate(kinds)}
    order = tuple(places[kind] for kind in zip(types, feed_forwards, strict=True))
    return Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order)


def _types(config: Config, layers: int) -> tuple[str, ...]:
    """The kind of each layer: by `layer_types`, else every `full_attention_interval`-th is of full attention."""
    types = config.words("layer_types")
    if types is None:
        interval = config.whole("full_attention_interval", 1, MAX_LAYERS)
        return tuple(FULL if (index + 1) % interval == 0 else _LINEAR for index in range(layers))
    if len(types) != layers or not set(types) <= {FULL, _LINEAR}:
        raise config.refuse(f"layer_types does not name {FULL} or {_LINEAR} for each of {layers} layers")
    return types


def _mixtures(config: Config, d: Dimensions, *, everywhere: bool) -> tuple[tuple[Module, ...], tuple[FeedForward, ...]]:
    """The experts of every layer that has them, and the feed-forward of each layer; Qwen3.5 has them everywhere."""
    experts, width = config.experts("num_experts"), config.size("moe_intermediate_size")
    shared, activation = config.size("shared_expert_intermediate_size"), config.word("hidden_act")
    sparse, dense = (d.indices, ()) if everywhere else sparse_and_dense(config, d.layers)
    plain = FeedForward(d.intermediate, True, activation)
    mixture = FeedForward(width, True, activation, experts, chosen_experts(config, experts), shared)
    in_mixture = set(sparse)
    modules = (
        *(gated("layers.{}.mlp", d.hidden, d.intermediate, dense) if dense else ()),
        *routed(experts, d.hidden, width, sparse),
        *(shared_expert(d.hidden, shared, sparse) if sparse else ()),
    )
    return modules, tuple(mixture if index in in_mixture else plain for index in d.indices)


def _dense(config: Config, d: Dimensions) -> tuple[tuple[Module, ...], tuple[FeedForward, ...]]:
    feed_forward = FeedForward(d.intermediate, True, config.word("hidden_act"))
    return gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices), (feed_forward,) * d.layers


def _gated_attention(config: Config, d: Dimensions, layers: tuple[str, ...]) -> tuple[Module, ...]:
    """Full attention whose queries come with a gate of the same width for its result."""
    path, bias = "layers.{}.self_attn", config.flag("attention_bias")
    queries, keys = d.heads * d.head_dim, d.key_value_heads * d.head_dim
    return (
        parts.linear(f"{path}.q_proj", d.hidden, 2 * queries, layers, bias=bias),
        parts.linear(f"{path}.k_proj", d.hidden, keys, layers, bias=bias),
        parts.linear(f"{path}.v_proj", d.hidden, keys, layers, bias=bias),
        parts.linear(f"{path}.o_proj", queries, d.hidden, layers, bias=bias),
        *query_key_norms(path, d, layers),
    )


def _net(config: Config) -> DeltaNet:
    """The dimensions of a gated delta net."""
    net = DeltaNet(
        key_heads=config.heads("linear_num_key_heads"),
        value_heads=config.heads("linear_num_value_heads"),
        key_width=config.size("linear_key_head_dim"),
        value_width=config.size("linear_value_head_dim"),
        kernel=config.size("linear_conv_kernel_dim"),
    )
    if net.value_heads % net.key_heads:
        raise config.malformed(f"{net.value_heads} heads of values cannot share {net.key_heads} heads of keys")
    return net


def _delta_net(config: Config, hidden: int, layers: tuple[str, ...], *, joined: bool) -> tuple[Module, ...]:
    """A gated delta net; `joined`: Qwen3-Next's two projections in, where Qwen3.5 has four."""
    path, net = "layers.{}.linear_attn", _net(config)
    heads, keys, values = net.value_heads, net.keys, net.values
    if joined:
        inward = {"in_proj_qkvz": 2 * (keys + values), "in_proj_ba": 2 * heads}
    else:
        inward = {"in_proj_qkv": 2 * keys + values, "in_proj_z": values, "in_proj_b": heads, "in_proj_a": heads}
    kernel = (net.convolved, 1, net.kernel)
    return (
        parts.bare(path, (Tensor("dt_bias", (heads,)), Tensor("A_log", (heads,))), layers),
        parts.bare(f"{path}.conv1d", (Tensor("weight", kernel),), layers),
        *(parts.linear(f"{path}.{name}", hidden, outputs, layers) for name, outputs in inward.items()),
        parts.norm(f"{path}.norm", net.value_width, layers),
        parts.linear(f"{path}.out_proj", values, hidden, layers),
    )


def _vision_tower(config: Config) -> tuple[Module, ...]:
    """Patches of two frames, learned positions, encoder layers, and the merger of neighbouring patches."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    patch, frames = config.size("patch_size"), config.size("temporal_patch_size")
    merged = width * config.size("spatial_merge_size") ** 2
    blocks = parts.layer_names(0, config.layers("depth"))
    kernel = (width, config.size("in_channels"), frames, patch, patch)
    return (
        parts.bare("patch_embed.proj", (Tensor("weight", kernel), Tensor("bias", (width,)))),
        parts.embedding("pos_embed", config.size("num_position_embeddings"), width),
        parts.layer_norm("blocks.{}.norm1", width, blocks),
        parts.layer_norm("blocks.{}.norm2", width, blocks),
        parts.linear("blocks.{}.attn.qkv", width, 3 * width, blocks, bias=True),
        parts.linear("blocks.{}.attn.proj", width, width, blocks, bias=True),
        parts.linear("blocks.{}.mlp.linear_fc1", width, inner, blocks, bias=True),
        parts.linear("blocks.{}.mlp.linear_fc2", inner, width, blocks, bias=True),
        parts.layer_norm("merger.norm", width),
        parts.linear("merger.linear_fc1", merged, merged, bias=True),
        parts.linear("merger.linear_fc2", merged, config.size("out_hidden_size"), bias=True),
    )
