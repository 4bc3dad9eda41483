"""A model as LitGPT builds it: one block for every family, an output weight of its own, and all of it quantized.

Source: litgpt/model.py (GPT, Block, CausalSelfAttention, LLaMAMLP, GptNeoxMLP). Its projection of queries, keys and
values stands here as three, as they are adapted apart; modules bear LLaMA's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from packaging.version import Version

from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.architecture.model import (
    Architecture,
    Attention,
    FeedForward,
    LayerKind,
    Module,
    ModuleKind,
    Tensor,
)

FAMILY = "litgpt"

FAMILIES = frozenset({"falcon", "gemma", "gpt_neox", "llama", "mistral", "phi", "phi3", "qwen2", "stablelm"})
"""Families whose blocks differ in nothing but in what a LayerKind says."""
LITGPT_CACHES_GROUPS = Version("0.5.5")
"""LitGPT pull requests 1013 and 1891; before, keys and values were repeated for every query head, then kept."""

_LAYERS = "layers.{}"
_ATTENTION = f"{_LAYERS}.self_attn"
_FUSED = frozenset({"query_key_value", "qkv_proj"})
_NAMES: Mapping[str, str] = {
    "attention.dense": "self_attn.o_proj",
    "self_attention.dense": "self_attn.o_proj",
    "self_attn.dense": "self_attn.o_proj",
    "mlp.dense_h_to_4h": "mlp.up_proj",
    "mlp.dense_4h_to_h": "mlp.down_proj",
    "mlp.fc1": "mlp.up_proj",
    "mlp.fc2": "mlp.down_proj",
}
_GELU: Mapping[str, str] = {"gelu_new": "gelu_pytorch_tanh"}
"""Activations that LitGPT takes from torch where transformers writes them out."""


@lru_cache(maxsize=256)
def as_litgpt(architecture: Architecture, *, caches_queries: bool = False) -> Architecture:
    """The architecture as LitGPT has it; refuses families whose blocks have more to them.

    `caches_queries` says that keys and values are kept for every query head, unless there is one head for all.
    """
    if architecture.family == FAMILY:
        return architecture
    if architecture.family not in FAMILIES or architecture.head != "causal-lm":
        raise UnsupportedModel(architecture.class_name, "no formula for it in LitGPT yet")
    kinds = tuple(_kind(kind, caches_queries=caches_queries) for kind in architecture.layers)
    modules = tuple(_modules(architecture, architecture.layers[0].attention))
    return replace(architecture, family=FAMILY, modules=modules, layers=kinds, tied=(), embedding_dropout=0.0)


def _kind(kind: LayerKind, *, caches_queries: bool) -> LayerKind:
    """Without dropout, and without the windows that LitGPT has for Gemma alone."""
    attention = replace(
        kind.attention,
        window=None,
        dropout=0.0,
        caches_queries=caches_queries and kind.attention.key_value_heads > 1,
        always_masked=False,
        position_terms=(),
    )
    activation = _GELU.get(kind.feed_forward.activation, kind.feed_forward.activation)
    feed_forward: FeedForward = replace(kind.feed_forward, activation=activation)
    return replace(kind, attention=attention, feed_forward=feed_forward, dropout=0.0)


def _modules(architecture: Architecture, attention: Attention) -> Iterator[Module]:
    for module in architecture.modules:
        ending = module.path.rpartition("{}.")[2]
        if module.leaf in _FUSED:
            yield from _split(module, _widths(attention), tuple(f"{_ATTENTION}.{name}_proj" for name in "qkv"))
        elif module.leaf == "gate_up_proj":
            half = module.out_features // 2
            yield from _split(module, (half, half), (f"{_LAYERS}.mlp.gate_proj", f"{_LAYERS}.mlp.up_proj"))
        elif module.kind is ModuleKind.HEAD:
            weight = Tensor("weight", (module.out_features, module.in_features))
            others = tuple(tensor for tensor in module.tensors if tensor.name != "weight")
            yield replace(module, path="lm_head", kind=ModuleKind.LINEAR, tensors=(weight, *others))
        elif "{}" in module.path:
            yield replace(module, path=f"{_LAYERS}.{_NAMES.get(ending, ending)}", quantized=True)
        else:
            yield module


def _widths(attention: Attention) -> tuple[int, int, int]:
    """The outputs of queries, keys and values."""
    keys = attention.key_value_heads * attention.head_dim
    return attention.query_heads * attention.head_dim, keys, keys


def _split(module: Module, widths: tuple[int, ...], paths: tuple[str, ...]) -> Iterator[Module]:
    """The parts of a linear that gives several things side by side."""
    biased = any(tensor.name == "bias" for tensor in module.tensors)
    for path, width in zip(paths, widths, strict=True):
        tensors = (Tensor("weight", (width, module.in_features)), *((Tensor("bias", (width,)),) if biased else ()))
        yield replace(module, path=path, tensors=tensors, out_features=width, quantized=True)
