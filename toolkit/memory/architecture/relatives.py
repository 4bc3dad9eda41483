"""LLaMA's relatives: SmolLM3, Seed-OSS, ERNIE 4.5, EXAONE 4, Ministral, Hunyuan, Helium.

Each has LLaMA's layers but for what its function says. Names and defaults are those of transformers 5.23.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
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
    query_key_norms,
    stacked,
)
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, MISTRAL_DEFAULTS
from toolkit.memory.architecture.model import Architecture, FeedForward

SMOLLM3_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 128256,
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "no_rope_layer_interval": 4,
    "tie_word_embeddings": True,
}

SEED_OSS_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 155136,
    "intermediate_size": 27648,
    "num_hidden_layers": 64,
    "num_attention_heads": 80,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 524288,
    "attention_bias": True,
    "attention_dropout": 0.1,
    "residual_dropout": 0.1,
}

ERNIE_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 103424,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 18,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
}

EXAONE4_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 102400,
    "intermediate_size": 16384,
    "num_key_value_heads": 32,
    "sliding_window": 4096,
    "sliding_window_pattern": 4,
}

MINISTRAL_DEFAULTS = MISTRAL_DEFAULTS

MINISTRAL3_DEFAULTS = {
    **MISTRAL_DEFAULTS,
    "vocab_size": 131072,
    "num_hidden_layers": 34,
    "head_dim": 128,
    "max_position_embeddings": 262144,
    "sliding_window": None,
}

HUNYUAN_DEFAULTS = {**LLAMA_DEFAULTS, "vocab_size": 290943}

HELIUM_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 48000,
    "hidden_size": 2560,
    "intermediate_size": 7040,
    "num_hidden_layers": 24,
    "num_attention_heads": 20,
    "num_key_value_heads": 20,
    "head_dim": 128,
    "max_position_embeddings": 4096,
}

_ATTENTION, _MLP = "layers.{}.self_attn", "layers.{}.mlp"
_TWO = ("input_layernorm", "post_attention_layernorm")


def smollm3(config: Config, head: Head) -> Architecture:
    """SmolLM3: every fourth layer has no rotary embedding."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    turned = _turned_layers(config, d)
    still = SLIDING if config.flag("use_sliding_window") and config.value("sliding_window") is not None else FULL
    windows = layer_windows(config, d.layers, tuple(FULL if turn else still for turn in turned))
    if not config.flag("use_sliding_window"):
        windows = (None,) * d.layers
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *gated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *norms(d, *_TWO),
    )
    kinds = layer_kinds(config, d, windows, _gated(config, d), turned=turned)
    return stacked(config, head, d, inner, kinds, order=order_of(tuple(zip(windows, turned, strict=True))))


def _turned_layers(config: Config, d: Dimensions) -> tuple[bool, ...]:
    """Which layers have rotary embedding: `no_rope_layers` has a 1 for each that does (configuration_smollm3.py)."""
    listed = config.value("no_rope_layers")
    if listed is None:
        every = config.whole("no_rope_layer_interval", 1, MAX_LAYERS)
        return tuple((index + 1) % every != 0 for index in range(d.layers))
    if not isinstance(listed, list) or len(listed) != d.layers:
        raise config.refuse(f"no_rope_layers is not a list of the {d.layers} layers")
    return tuple(bool(each) for each in listed)


def seed_oss(config: Config, head: Head) -> Architecture:
    """Seed-OSS 36B: biases on q, k and v, dropout of attention and of what the layers add."""
    d = dimensions(config)
    inner = (
        *projections(
            _ATTENTION,
            d,
            d.indices,
            bias=config.flag("attention_bias"),
            output_bias=config.flag("attention_out_bias"),
        ),
        *gated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *norms(d, *_TWO),
    )
    dropout = config.share("residual_dropout")
    return stacked(
        config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, _gated(config, d), dropout=dropout)
    )


def ernie(config: Config, head: Head) -> Architecture:
    """ERNIE 4.5 0.3B: `use_bias` is that of all projections."""
    d = dimensions(config)
    bias = config.flag("use_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *gated(_MLP, d.hidden, d.intermediate, d.indices, bias=bias),
        *norms(d, *_TWO),
    )
    return stacked(config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, _gated(config, d)))


def exaone4(config: Config, head: Head) -> Architecture:
    """EXAONE 4: norms on results alone; where layers have windows, only those have rotary embedding."""
    d = dimensions(config)
    windowed = config.value("sliding_window") is not None
    windows = layer_windows(config, d.layers, exaone_pattern(config, d) if windowed else None)
    inner = (
        *projections(_ATTENTION, d, d.indices),
        *query_key_norms(_ATTENTION, d, d.indices),
        *gated(_MLP, d.hidden, d.intermediate, d.indices),
        *norms(d, "post_attention_layernorm", "post_feedforward_layernorm"),
    )
    turned = tuple(window is not None or not windowed for window in windows)
    kinds = layer_kinds(config, d, windows, _gated(config, d), turned=turned, query_norm=True)
    return stacked(config, head, d, inner, kinds, order=order_of(windows))


def exaone_pattern(config: Config, d: Dimensions) -> tuple[str, ...]:
    """The kinds of layers of EXAONE 4: every so many-th attends to all."""
    every = config.whole("sliding_window_pattern", 1, MAX_LAYERS)
    return tuple(SLIDING if (index + 1) % every else FULL for index in range(d.layers))


def ministral(config: Config, head: Head) -> Architecture:
    """Ministral 8B: Mistral, with a window in the layers that `layer_types` names, or in all."""
    d = dimensions(config)
    kind = FULL if config.value("sliding_window") is None else SLIDING
    windows = layer_windows(config, d.layers, (kind,) * d.layers)
    inner = (
        *projections(_ATTENTION, d, d.indices),
        *gated(_MLP, d.hidden, d.intermediate, d.indices),
        *norms(d, *_TWO),
    )
    return stacked(config, head, d, inner, layer_kinds(config, d, windows, _gated(config, d)))


def ministral3(config: Config, head: Head) -> Architecture:
    """Ministral 3: Mistral, whose queries are scaled by their positions."""
    d = dimensions(config)
    windows = (config.optional_size("sliding_window"),) * d.layers
    inner = (
        *projections(_ATTENTION, d, d.indices),
        *gated(_MLP, d.hidden, d.intermediate, d.indices),
        *norms(d, *_TWO),
    )
    return stacked(config, head, d, inner, layer_kinds(config, d, windows, _gated(config, d)))


def hunyuan(config: Config, head: Head) -> Architecture:
    """Hunyuan 0.5B to 7B: norms on queries and keys once they are turned."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *(parts.norm(f"{_ATTENTION}.{name}", d.head_dim, d.indices) for name in ("query_layernorm", "key_layernorm")),
        *gated(_MLP, d.hidden, d.intermediate, d.indices),
        *norms(d, *_TWO),
    )
    return stacked(
        config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, _gated(config, d), query_norm=True)
    )


def helium(config: Config, head: Head) -> Architecture:
    """Helium 1: neighbours are turned together; no bias on the output projection of attention."""
    d = dimensions(config)
    if d.heads * d.head_dim != d.hidden:
        raise config.refuse("heads that are not as wide together as the hidden size are not covered")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=config.flag("attention_bias")),
        *gated(_MLP, d.hidden, d.intermediate, d.indices, bias=config.flag("mlp_bias")),
        *norms(d, *_TWO),
    )
    return stacked(config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, _gated(config, d)))


def _gated(config: Config, d: Dimensions) -> FeedForward:
    return FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act"))
