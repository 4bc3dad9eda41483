"""Mamba, Falcon Mamba and Mamba 2: a norm and a recurrence in every layer, and nothing else.

Source: transformers 5.23 modeling_mamba.py, modeling_falcon_mamba.py, modeling_mamba2.py and their configurations.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.heads import BASE, CAUSAL, Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.mixers import Mamba1, Mamba2, Mixer
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module, Tensor

MAMBA_DEFAULTS = {
    "vocab_size": 50280,
    "hidden_size": 768,
    "state_size": 16,
    "num_hidden_layers": 32,
    "expand": 2,
    "conv_kernel": 4,
    "use_bias": False,
    "use_conv_bias": True,
    "residual_in_fp32": True,
    "time_step_rank": "auto",
    "tie_word_embeddings": True,
}
FALCON_MAMBA_DEFAULTS = MAMBA_DEFAULTS
MAMBA2_DEFAULTS = {
    **MAMBA_DEFAULTS,
    "vocab_size": 32768,
    "hidden_size": 4096,
    "state_size": 128,
    "num_hidden_layers": 64,
    "num_heads": 128,
    "head_dim": 64,
    "n_groups": 8,
    "chunk_size": 256,
    "tie_word_embeddings": False,
}

MAMBA, FALCON_MAMBA, MAMBA2 = "mamba", "falcon_mamba", "mamba2"
FAMILIES = (MAMBA, FALCON_MAMBA, MAMBA2)

_PATH = "layers.{}.mixer"
_RANKS = 16


def classes(stem: str) -> dict[str, str]:
    """The classes of a type: these have no classifiers."""
    return {CAUSAL: f"{stem}ForCausalLM", BASE: f"{stem}Model"}


def mamba(config: Config, head: Head) -> Architecture:
    """Mamba and Falcon Mamba. Where the config names the inner width, `expand` is not heeded (Falcon Mamba 7B)."""
    hidden = config.size("hidden_size")
    automatic = config.value("time_step_rank") == "auto"
    mixer = Mamba1(
        inner=config.optional_size("intermediate_size") or config.whole("expand", 1, 64) * hidden,
        state_width=config.size("state_size"),
        rank=-(-hidden // _RANKS) if automatic else config.size("time_step_rank"),
        kernel=config.size("conv_kernel"),
        norms=config.model_type == FALCON_MAMBA,
    )
    layers, bias = _layers(config), config.flag("use_bias")
    own = (
        parts.bare(_PATH, (Tensor("A_log", (mixer.inner, mixer.state_width)), Tensor("D", (mixer.inner,))), layers),
        _convolution(config, mixer, layers),
        parts.linear(f"{_PATH}.in_proj", hidden, 2 * mixer.inner, layers, bias=bias),
        parts.linear(f"{_PATH}.x_proj", mixer.inner, mixer.rank + 2 * mixer.state_width, layers),
        parts.linear(f"{_PATH}.dt_proj", mixer.rank, mixer.inner, layers, bias=True),
        parts.linear(f"{_PATH}.out_proj", mixer.inner, hidden, layers, bias=bias),
    )
    return _model(config, head, mixer, own)


def mamba2(config: Config, head: Head) -> Architecture:
    """Mamba 2."""
    hidden = config.size("hidden_size")
    mixer = Mamba2(
        heads=config.heads("num_heads"),
        head_width=config.size("head_dim"),
        groups=config.heads("n_groups"),
        state_width=config.size("state_size"),
        kernel=config.size("conv_kernel"),
        piece=config.size("chunk_size"),
    )
    if mixer.inner != config.whole("expand", 1, 64) * hidden or mixer.heads % mixer.groups:
        raise config.refuse(f"{mixer.heads} heads of {mixer.head_width} in {mixer.groups} groups do not fit its width")
    layers, bias = _layers(config), config.flag("use_bias")
    numbers = tuple(Tensor(name, (mixer.heads,)) for name in ("dt_bias", "A_log", "D"))
    own = (
        parts.bare(_PATH, numbers, layers),
        _convolution(config, mixer, layers),
        parts.linear(f"{_PATH}.in_proj", hidden, mixer.projected, layers, bias=bias),
        parts.norm(f"{_PATH}.norm", mixer.inner, layers),
        parts.linear(f"{_PATH}.out_proj", mixer.inner, hidden, layers, bias=bias),
    )
    return _model(config, head, mixer, own)


def _layers(config: Config) -> tuple[str, ...]:
    return parts.layer_names(0, config.layers("num_hidden_layers"))


def _convolution(config: Config, mixer: Mamba1 | Mamba2, layers: tuple[str, ...]) -> Module:
    kernel = Tensor("weight", (mixer.convolved, 1, mixer.kernel))
    bias = (Tensor("bias", (mixer.convolved,)),) if config.flag("use_conv_bias") else ()
    return parts.bare(f"{_PATH}.conv1d", (kernel, *bias), layers)


def _model(config: Config, head: Head, mixer: Mixer, own: tuple[Module, ...]) -> Architecture:
    """The stream between layers is float32, whatever the weights are."""
    if not config.flag("residual_in_fp32"):
        raise config.refuse("residual_in_fp32: false is not covered")
    hidden, rows, layers = config.size("hidden_size"), config.size("vocab_size"), _layers(config)
    modules = (
        parts.embedding("embeddings", rows, hidden),
        *own,
        parts.norm("layers.{}.norm", hidden, layers),
        parts.norm("norm_f", hidden),
    )
    none = Attention(1, 1, hidden, hidden, recurrent=True, turned=False)
    kind = LayerKind(len(layers), none, FeedForward(0, False, "silu"), norms=1, mixer=mixer, alone="mixer")
    return with_head(config, head, Body(modules, (kind,), hidden, rows, "backbone"))
