"""A model as Megatron-LM builds it: mcore's GPTModel with TransformerEngine's layers, for several families.

Sources: megatron/core/models/gpt/gpt_model.py and gpt_layer_specs.py, transformer/transformer_layer.py,
training/tokenizer (vocab_size_with_padding), at commit d98e8a6 of August 2026. Modules bear Megatron's names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.architecture.model import Architecture, LayerKind, Module, ModuleKind

TRAINER = FAMILY = "megatron"
FAMILIES = frozenset({"gpt2", "gpt_neox", "llama", "mistral", "qwen2"})
"""Families whose layers are no more than norms, attention and a feed-forward, one after the other."""
NORMS = {"layer": "layer", "rms": "fused rms"}
"""TransformerEngine's norms are one kernel each (transformer_engine/pytorch/module/layernorm_linear.py)."""
FUSED_ACTIVATIONS = frozenset({
    ("silu", True), *((gelu, gated) for gelu in ("gelu", "gelu_new", "gelu_pytorch_tanh") for gated in (True, False)),
})  # fmt: skip
"""Those that one kernel computes with bias and gate (megatron/core/transformer/mlp.py, bias_activation_fusion)."""
PADDED_TO = 128
"""--make-vocab-size-divisible-by: rows of the embedding are a multiple of it."""
LAYERS = "decoder.layers.{}"
FUSED, OUTPUT = "self_attention.linear_qkv", "self_attention.linear_proj"
UP, DOWN = "mlp.linear_fc1", "mlp.linear_fc2"
HEAD = "output_layer"
WORDS, POSITIONS = "embedding.word_embeddings", "embedding.position_embeddings"

_FUSED_AT = frozenset({"c_attn", "query_key_value"})
_OUTPUT_AT = ("attn.c_proj", "attention.dense", "self_attn.o_proj")


@lru_cache(maxsize=256)
def as_megatron(architecture: Architecture, split: int = 1) -> Architecture:
    """The architecture as Megatron has it, with rows for layers that are `split` over so many GPUs.

    Refuses families whose layers have more to them.
    """
    if architecture.family == FAMILY:
        return architecture
    if architecture.family not in FAMILIES or architecture.head != "causal-lm" or len(architecture.layers) != 1:
        raise UnsupportedModel(architecture.class_name, "no formula for it in Megatron-LM yet")
    [kind] = architecture.layers
    if kind.parallel_residual or kind.attention.window is not None or kind.attention.query_norm:
        reason = "no formula for parallel layers, windows or norms of queries in Megatron-LM yet"
        raise UnsupportedModel(architecture.class_name, reason)
    fed = kind.feed_forward
    if (fed.activation, fed.gated) not in FUSED_ACTIVATIONS:
        said = f"{'gated ' * fed.gated}{fed.activation}"
        reason = f"no formula for {said} in Megatron-LM yet, which no kernel fuses there"
        raise UnsupportedModel(architecture.class_name, reason)
    unit = PADDED_TO * split
    rows = -(-architecture.vocabulary // unit) * unit
    tied = bool(architecture.tied)
    return replace(
        architecture,
        family=FAMILY,
        modules=tuple(_modules(architecture, kind, rows, tied=tied)),
        layers=(_kind(kind),),
        vocabulary=rows,
        tied=(f"{HEAD}.weight",) if tied else (),
    )


def _kind(kind: LayerKind) -> LayerKind:
    """Its norms are TransformerEngine's, and no layer has a mask of its own."""
    return replace(kind, norm=NORMS[kind.norm], attention=replace(kind.attention, always_masked=False))


def _modules(architecture: Architecture, kind: LayerKind, rows: int, *, tied: bool) -> Iterator[Module]:
    a, inner, hidden = kind.attention, kind.feed_forward.intermediate, architecture.hidden
    layers, shifts = parts.layer_names(0, kind.count), kind.norm == "layer"
    queries, keys = a.query_heads * a.head_dim, a.key_value_heads * a.head_dim
    yield parts.embedding(WORDS, rows, hidden)
    if (positions := _positions(architecture)) is not None:
        yield parts.embedding(POSITIONS, positions, hidden)
    yield parts.norm(f"{LAYERS}.input_layernorm", hidden, layers, bias=shifts)
    bias = _is_biased(architecture, *_FUSED_AT, "q_proj")
    yield parts.linear(f"{LAYERS}.{FUSED}", hidden, queries + 2 * keys, layers, bias=bias)
    yield parts.linear(f"{LAYERS}.{OUTPUT}", queries, hidden, layers, bias=_is_biased(architecture, *_OUTPUT_AT))
    yield parts.norm(f"{LAYERS}.pre_mlp_layernorm", hidden, layers, bias=shifts)
    ups = 2 * inner if kind.feed_forward.gated else inner
    fed = _is_biased(architecture, "c_fc", "dense_h_to_4h", "up_proj")
    yield parts.linear(f"{LAYERS}.{UP}", hidden, ups, layers, bias=fed)
    yield parts.linear(f"{LAYERS}.{DOWN}", inner, hidden, layers, bias=fed)
    yield parts.norm("decoder.final_layernorm", hidden, bias=shifts)
    yield parts.head(HEAD, hidden, rows, tied=tied)


def _positions(architecture: Architecture) -> int | None:
    """The rows of the second embedding, that of positions, where there is one."""
    tables = [one for one in architecture.modules if one.kind is ModuleKind.EMBEDDING and "{}" not in one.path]
    return tables[1].in_features if len(tables) > 1 else None


def _is_biased(architecture: Architecture, *ends: str) -> bool:
    found = (one for one in architecture.modules if one.path.endswith(ends))
    return any(tensor.name == "bias" for one in found for tensor in one.tensors)


def apart(architecture: Architecture) -> Architecture:
    """Megatron's model with an output weight of its own, as the last stage of a pipeline has where it is tied."""
    if architecture.family != FAMILY or not architecture.tied:
        return architecture
    return _with_own_output(architecture)


@lru_cache(maxsize=256)
def _with_own_output(architecture: Architecture) -> Architecture:
    own = parts.head(HEAD, architecture.hidden, architecture.vocabulary)
    modules = tuple(own if one.kind is ModuleKind.HEAD else one for one in architecture.modules)
    return replace(architecture, modules=modules, tied=())
