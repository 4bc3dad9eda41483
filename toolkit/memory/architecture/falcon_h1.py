"""Falcon-H1: Mamba 2 beside attention in every layer, and numbers that states are multiplied by.

Source: transformers 5.23 modeling_falcon_h1.py and configuration_falcon_h1.py.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import attention, dimensions, gated, norms, projections
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.mamba_hybrids import BAMBA_DEFAULTS, mamba_of
from toolkit.memory.architecture.mixers import Mamba2
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor

FAMILY = "falcon_h1"

FALCON_H1_DEFAULTS = {
    **{key: value for key, value in BAMBA_DEFAULTS.items() if key != "partial_rotary_factor"},
    "max_position_embeddings": 8192,
    "mamba_d_ssm": 1024,
    "mamba_norm_before_gate": True,
    "mamba_rms_norm": False,
}

FIRST, LATE = "before the gate", "after the gate"
"""Where the norm of what Mamba gives stands."""

_MAMBA = "layers.{}.mamba"


def falcon_h1(config: Config, head: Head) -> Architecture:
    """All sizes; a norm of what Mamba gives is there where the config asks for it."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    mixer = mamba_of(config, d.hidden, config.optional_size("mamba_d_ssm"))
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *_mamba(config, d.hidden, mixer, d.indices),
        *projections("layers.{}.self_attn", d, d.indices, bias=bias, output_bias=bias),
        *gated("layers.{}.feed_forward", d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *norms(d, "input_layernorm", "pre_ff_layernorm"),
        parts.norm("final_layernorm", d.hidden),
    )
    feed_forward = FeedForward(d.intermediate, True, config.word("hidden_act"))
    when = (FIRST if config.flag("mamba_norm_before_gate") else LATE) if config.flag("mamba_rms_norm") else ""
    kind = LayerKind(d.layers, attention(config, d, None), feed_forward, mixer=mixer, mixer_norm=when)
    return with_head(config, head, Body(modules, (kind,), d.hidden, d.vocabulary, "model", d.max_positions))


def _mamba(config: Config, hidden: int, m: Mamba2, layers: tuple[str, ...]) -> tuple[Module, ...]:
    kernel = (Tensor("weight", (m.convolved, 1, m.kernel)),)
    own = (Tensor("dt_bias", (m.heads,)), Tensor("A_log", (m.heads,)), Tensor("D", (m.heads,)))
    bias = (Tensor("bias", (m.convolved,)),) if config.flag("mamba_conv_bias") else ()
    return (
        parts.bare(_MAMBA, own, layers),
        parts.bare(f"{_MAMBA}.conv1d", kernel + bias, layers),
        parts.linear(f"{_MAMBA}.in_proj", hidden, m.projected, layers, bias=config.flag("mamba_proj_bias")),
        parts.linear(f"{_MAMBA}.out_proj", m.inner, hidden, layers, bias=config.flag("projectors_bias")),
        *((parts.norm(f"{_MAMBA}.norm", m.inner, layers),) if config.flag("mamba_rms_norm") else ()),
    )
