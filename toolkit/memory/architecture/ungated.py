"""LLaMA's relatives without gates: Arcee's AFM, Apertus, and Nemotron with its own LayerNorm."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import (
    Dimensions,
    dimensions,
    layer_kinds,
    norms,
    projections,
    query_key_norms,
    stacked,
    ungated,
)
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.model import Architecture, FeedForward, Module, ModuleKind, Tensor

ARCEE_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "hidden_size": 2560,
    "intermediate_size": 18432,
    "hidden_act": "relu2",
    "max_position_embeddings": 4096,
}

APERTUS_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 131072,
    "intermediate_size": 14336,
    "hidden_act": "xielu",
    "max_position_embeddings": 65536,
}

NEMOTRON_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 256000,
    "hidden_size": 6144,
    "intermediate_size": 24576,
    "num_attention_heads": 48,
    "hidden_act": "relu2",
    "max_position_embeddings": 4096,
    "partial_rotary_factor": 0.5,
}

_ATTENTION, _MLP = "layers.{}.self_attn", "layers.{}.mlp"
_TWO = ("input_layernorm", "post_attention_layernorm")


def arcee(config: Config, head: Head) -> Architecture:
    """Arcee's AFM 4.5B: a feed-forward without a gate."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *ungated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *norms(d, *_TWO),
    )
    return stacked(config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, _ungated(config, d)))


def apertus(config: Config, head: Head) -> Architecture:
    """Apertus 8B and 70B: norms on queries and keys, no gate, an activation (xIELU) with two parameters a layer."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *query_key_norms(_ATTENTION, d, d.indices),
        *ungated(_MLP, d.hidden, d.intermediate, d.indices),
        *(_xielu(d) if config.word("hidden_act") == "xielu" else ()),
        *norms(d, "attention_layernorm", "feedforward_layernorm"),
    )
    return stacked(
        config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, _ungated(config, d), query_norm=True)
    )


def _xielu(d: Dimensions) -> tuple[Module, ...]:
    tensors = (Tensor("alpha_p", (1,)), Tensor("alpha_n", (1,)))
    return (Module(f"{_MLP}.act_fn", ModuleKind.OTHER, tensors, d.indices),)


def nemotron(config: Config, head: Head) -> Architecture:
    """Nemotron-4, Minitron and Mistral-NeMo-Minitron: LayerNorms that add 1 to their weights."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *ungated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *(parts.layer_norm(f"layers.{{}}.{name}", d.hidden, d.indices) for name in _TWO),
    )
    kinds = layer_kinds(config, d, (None,) * d.layers, _ungated(config, d), norm="layer plus one")
    return stacked(config, head, d, inner, kinds, parts.layer_norm("norm", d.hidden))


def _ungated(config: Config, d: Dimensions) -> FeedForward:
    return FeedForward(d.intermediate, gated=False, activation=config.word("hidden_act"))
