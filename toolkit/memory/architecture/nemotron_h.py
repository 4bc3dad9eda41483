"""Nemotron-H and Nemotron 3 of NVIDIA: each layer is Mamba 2, attention, a feed-forward, or experts, and no more.

Source: transformers 5.23 modeling_nemotron_h.py and configuration_nemotron_h.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import FULL, Dimensions, attention, projections, ungated
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.mamba_hybrids import LINEAR
from toolkit.memory.architecture.mixers import Mamba2
from toolkit.memory.architecture.mixture import chosen_experts, router
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor

MLP, MOE = "mlp", "moe"
_LETTERS = {"M": LINEAR, "E": MOE, "*": FULL, "-": MLP}
_NAMES = {"mamba": LINEAR, "attention": FULL, LINEAR: LINEAR, FULL: FULL, MLP: MLP, MOE: MOE}

NEMOTRON_H_DEFAULTS = {
    "vocab_size": 131072,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 4096,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "intermediate_size": 21504,
    "mlp_hidden_act": "relu2",
    "mlp_bias": False,
    "ssm_state_size": 128,
    "mamba_num_heads": 128,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "conv_kernel": 4,
    "use_conv_bias": True,
    "chunk_size": 128,
    "use_bias": False,
    "n_routed_experts": 8,
    "moe_intermediate_size": 7688,
    "moe_shared_expert_intermediate_size": 7688,
    "num_experts_per_tok": 2,
    "tie_word_embeddings": False,
}
NEMOTRON_H_ALIASES = {
    "layer_types": "layers_block_type",
    "n_groups": "mamba_n_groups",
    "conv_kernel": "mamba_d_conv",
    "use_conv_bias": "mamba_conv_bias",
    "chunk_size": "mamba_chunk_size",
}


def nemotron_h(config: Config, head: Head) -> Architecture:
    """The layers of a pattern, each with one norm."""
    if config.value("moe_latent_size") is not None:
        raise config.refuse("no formula for experts of a latent yet")
    config = replace(config, values={**config.values, "tie_word_embeddings": False})  # whatever it says
    types = _types(config)
    d = _dimensions(config, len(types))
    kinds = Counter(types)
    modules = (
        parts.embedding("embeddings", d.vocabulary, d.hidden),
        *_mixers(config, d, types),
        parts.norm("layers.{}.norm", d.hidden, d.indices),
        parts.norm("norm_f", d.hidden),
    )
    layers = tuple(_kind(config, d, kind, count) for kind, count in kinds.items())
    places = {kind: place for place, kind in enumerate(kinds)}
    order = tuple(places[kind] for kind in types)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order)
    return with_head(config, head, body)


def _types(config: Config) -> tuple[str, ...]:
    """The kind of each layer: by name, or by a letter of a pattern."""
    pattern, types = config.value("hybrid_override_pattern"), config.words("layer_types")
    if types is not None and types and set(types) <= set(_NAMES):
        return tuple(_NAMES[kind] for kind in types)
    if types is None and isinstance(pattern, str) and 0 < len(pattern) <= 4096 and set(pattern) <= set(_LETTERS):
        return tuple(_LETTERS[letter] for letter in pattern)
    raise config.refuse(f"neither layer_types nor hybrid_override_pattern names {', '.join(_LETTERS.values())}")


def _dimensions(config: Config, layers: int) -> Dimensions:
    return Dimensions(
        hidden=config.size("hidden_size"),
        intermediate=config.size("intermediate_size"),
        layers=layers,
        heads=config.heads("num_attention_heads"),
        key_value_heads=config.heads("num_key_value_heads"),
        head_dim=config.size("head_dim"),
        vocabulary=config.size("vocab_size"),
        max_positions=config.optional_size("max_position_embeddings"),
    )


def _mamba(config: Config) -> Mamba2:
    return Mamba2(
        heads=config.heads("mamba_num_heads"),
        head_width=config.size("mamba_head_dim"),
        groups=config.heads("n_groups"),
        state_width=config.size("ssm_state_size"),
        kernel=config.size("conv_kernel"),
        piece=config.size("chunk_size"),
    )


def _kind(config: Config, d: Dimensions, kind: str, count: int) -> LayerKind:
    mixes, mixer = kind in (FULL, LINEAR), _mamba(config) if kind == LINEAR else None
    activation = config.word("mlp_hidden_act")
    feed_forward = FeedForward(d.intermediate, False, activation)
    if kind == MOE:
        experts, shared = config.experts("n_routed_experts"), config.size("moe_shared_expert_intermediate_size")
        chosen = chosen_experts(config, experts)
        feed_forward = FeedForward(
            config.size("moe_intermediate_size"), False, activation, experts, chosen, shared_intermediate=shared
        )
    return LayerKind(
        count,
        attention(config, d, None, recurrent=kind != FULL),
        feed_forward,
        norms=1,
        mixer=mixer,
        alone="mixer" if mixes else "feed-forward",
    )


def _mixers(config: Config, d: Dimensions, types: tuple[str, ...]) -> Iterator[Module]:
    """What each layer has beside its norm, by kind."""
    path, bias = "layers.{}.mixer", config.flag("mlp_bias")
    at = {kind: tuple(i for i, own in zip(d.indices, types, strict=True) if own == kind) for kind in set(types)}
    if LINEAR in at:
        yield from _mamba_modules(config, path, d.hidden, at[LINEAR])
    if FULL in at:
        yield from projections(path, d, at[FULL])
    if MLP in at:
        yield from ungated(path, d.hidden, d.intermediate, at[MLP], bias=bias)
    if MOE in at:
        experts, width = config.experts("n_routed_experts"), config.size("moe_intermediate_size")
        shared = config.size("moe_shared_expert_intermediate_size")
        tensors = (Tensor("up_proj", (experts, width, d.hidden)), Tensor("down_proj", (experts, d.hidden, width)))
        yield parts.experts(f"{path}.experts", tensors, at[MOE])
        yield router(f"{path}.gate", experts, d.hidden, at[MOE])
        yield from ungated(f"{path}.shared_experts", d.hidden, shared, at[MOE], bias=bias)


def _mamba_modules(config: Config, path: str, hidden: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    m, bias = _mamba(config), config.flag("use_bias")
    kernel, own = Tensor("weight", (m.convolved, 1, m.kernel)), ("dt_bias", "A_log", "D")
    convolution = (kernel, Tensor("bias", (m.convolved,))) if config.flag("use_conv_bias") else (kernel,)
    return (
        parts.bare(path, tuple(Tensor(name, (m.heads,)) for name in own), layers),
        parts.bare(f"{path}.conv1d", convolution, layers),
        parts.linear(f"{path}.in_proj", hidden, m.projected, layers, bias=bias),
        parts.norm(f"{path}.norm", m.inner, layers),
        parts.linear(f"{path}.out_proj", m.inner, hidden, layers, bias=bias),
    )
