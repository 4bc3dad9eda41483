"""Cohere's Command R and R+ (cohere), Command R7B, Aya and Command A (cohere2): a parallel residual, one norm."""

from __future__ import annotations

from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import (
    FULL,
    SLIDING,
    Dimensions,
    dimensions,
    gated,
    layer_kinds,
    layer_windows,
    norms,
    order_of,
    projections,
    stacked,
)
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.model import Architecture, FeedForward, Module, ModuleKind, Tensor

COHERE_DEFAULTS = {
    "vocab_size": 256000,
    "hidden_size": 8192,
    "intermediate_size": 22528,
    "num_hidden_layers": 40,
    "num_attention_heads": 64,
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "use_qk_norm": False,
    "tie_word_embeddings": True,
}

COHERE2_DEFAULTS = {**COHERE_DEFAULTS, "sliding_window": 4096, "sliding_window_pattern": 4}

_ATTENTION = "layers.{}.self_attn"


def cohere(config: Config, head: Head) -> Architecture:
    """Command R; with `use_qk_norm` (R+) each head of queries and keys has weights of its own."""
    d = dimensions(config)
    query_norm = config.flag("use_qk_norm")
    every = (None,) * d.layers
    return _model(config, head, d, every, (True,) * d.layers, _norms_by_head(d) if query_norm else ())


def cohere2(config: Config, head: Head) -> Architecture:
    """Three layers of four have a window; only those have rotary embedding."""
    d = dimensions(config)
    every = config.whole("sliding_window_pattern", 1, MAX_LAYERS)
    pattern = tuple(SLIDING if (index + 1) % every else FULL for index in range(d.layers))
    windows = layer_windows(config, d.layers, pattern)
    return _model(config, head, d, windows, tuple(window is not None for window in windows))


def _model(
    config: Config,
    head: Head,
    d: Dimensions,
    windows: tuple[int | None, ...],
    turned: tuple[bool, ...],
    query_key: tuple[Module, ...] = (),
) -> Architecture:
    bias = config.flag("attention_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *query_key,
        *gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices),
        *norms(d, "input_layernorm"),
    )
    kinds = layer_kinds(
        config,
        d,
        windows,
        FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act")),
        norm="written layer",
        norms=1,
        parallel=True,
        turned=turned,
        query_norm=bool(query_key),
    )
    return stacked(config, head, d, inner, kinds, order=order_of(windows))


def _norms_by_head(d: Dimensions) -> tuple[Module, ...]:
    shapes = {"q_norm": (d.heads, d.head_dim), "k_norm": (d.key_value_heads, d.head_dim)}
    return tuple(
        Module(f"{_ATTENTION}.{name}", ModuleKind.NORM, (Tensor("weight", shape),), d.indices)
        for name, shape in shapes.items()
    )
