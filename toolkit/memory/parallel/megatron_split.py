"""What one GPU has of a model whose layers Megatron-LM splits over several, without sequence parallelism.

Queries, keys, values and what the activation takes are cut by outputs, what comes back by inputs, whose bias is whole;
embeddings and output weights by rows. Norms, positions and the stream itself are whole. Sources: megatron/core/
tensor_parallel/layers.py (VocabParallelEmbedding, ColumnParallelLinear, RowParallelLinear);
extensions/transformer_engine.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture import Architecture, LayerKind, Module, ModuleKind
from toolkit.memory.architecture.megatron import DOWN, FUSED, HEAD, LAYERS, OUTPUT, UP, WORDS
from toolkit.memory.refusal import UnsupportedRow


@lru_cache(maxsize=256)
def rank_of_megatron(architecture: Architecture, gpus: int) -> Architecture:
    """The part of one of so many GPUs. Raises UnsupportedRow for what does not divide."""
    layers = tuple(_kind(kind, gpus) for kind in architecture.layers)
    modules = tuple(CUTS.get(one.path, _whole)(one, gpus) for one in architecture.modules)
    return replace(architecture, modules=modules, layers=layers, vocabulary=architecture.vocabulary // gpus)


def _kind(kind: LayerKind, gpus: int) -> LayerKind:
    attention, feed_forward = kind.attention, kind.feed_forward
    return replace(
        kind,
        attention=replace(
            attention,
            query_heads=_part(attention.query_heads, gpus, "query heads"),
            key_value_heads=_part(attention.key_value_heads, gpus, "key-value heads"),
        ),
        feed_forward=replace(feed_forward, intermediate=_part(feed_forward.intermediate, gpus, "feed-forward widths")),
    )


def _part(whole: int, gpus: int, what: str) -> int:
    if whole % gpus:
        raise UnsupportedRow("parallel", f"{whole} {what} cannot be split over {gpus} GPUs")
    return whole // gpus


def _by_outputs(module: Module, gpus: int) -> Module:
    """Rows of the weight and of its bias."""
    cut = tuple(replace(one, shape=(one.shape[0] // gpus, *one.shape[1:])) for one in module.tensors)
    if module.kind is ModuleKind.EMBEDDING:
        return replace(module, tensors=cut, in_features=module.in_features // gpus)
    return replace(module, tensors=cut, out_features=module.out_features // gpus)


def _by_inputs(module: Module, gpus: int) -> Module:
    """Columns of the weight: a bias is added once, to the sum."""
    cut = tuple(
        replace(one, shape=(one.shape[0], one.shape[1] // gpus)) if len(one.shape) > 1 else one
        for one in module.tensors
    )
    return replace(module, tensors=cut, in_features=module.in_features // gpus)


def _whole(module: Module, _: int) -> Module:
    return module


CUTS: Mapping[str, Callable[[Module, int], Module]] = {
    WORDS: _by_outputs,
    f"{LAYERS}.{FUSED}": _by_outputs,
    f"{LAYERS}.{UP}": _by_outputs,
    f"{LAYERS}.{OUTPUT}": _by_inputs,
    f"{LAYERS}.{DOWN}": _by_inputs,
    HEAD: _by_outputs,
}
"""How each module is cut, by its path."""
