"""What one GPU has of a model whose layers are split over several: tensor parallelism in inference.

Projections into heads and into the feed-forward are cut by their outputs, those back by their inputs, embeddings and
output projections by rows of the vocabulary; norms are whole. transformers puts the logits together on every GPU; vLLM
pads the vocabulary, and gives every GPU at least one key-value head. Of latent attention (DeepSeek) it cuts what goes
from a latent into heads; what makes latents is whole, and so is their cache, which all heads share. Sources:
transformers configuration_llama.py (base_model_tp_plan), distributed/tensor_parallel.py and mixin.py (5.23); vllm
model_executor/layers/linear.py (QKVParallelLinear), vocab_parallel_embedding.py and models/deepseek_v2.py
(DeepseekV2MLAAttention, DeepseekV2MoE).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture import Architecture, Attention, LayerKind, Module, ModuleKind, Tensor
from toolkit.memory.formula.ends.logits import LOGITS
from toolkit.memory.programs.program import MAX_RECORDED
from toolkit.memory.programs.programs import Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.peaks import Peaks
from toolkit.memory.weights.storage import FLOATS
from toolkit.spec.settings.setting import Setting

BY_OUTPUTS = frozenset({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"})
MERGED = frozenset({"qkv_proj", "gate_up_proj"})
BY_INPUTS = frozenset({"o_proj", "down_proj"})
KEYS = frozenset({"k_proj", "v_proj"})
FROM_LATENTS = frozenset({"q_b_proj", "kv_b_proj"})
FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"})
"""Families whose layers are split by these names alone."""

LATENT_FAMILIES = frozenset({"deepseek_v2", "deepseek_v3"})
"""Families of latent attention; of weights in fewer than 16 bits vLLM makes 16-bit copies of what goes into heads."""

SERVED_FAMILIES = FAMILIES | LATENT_FAMILIES | {"phi3", "qwen3_moe", "mixtral", "gpt_oss"}
"""Families that vLLM splits so, too: gate and up as one, and every expert by its width (fused_moe/layer.py)."""

VOCABULARY_UNIT = 64
"""Rows to which vLLM pads a vocabulary before it cuts it (DEFAULT_VOCAB_PADDING_SIZE)."""


def refuse_copies(architecture: Architecture, setting: Setting) -> None:
    """Raise where a GPU has copies of weights of latent attention, which no formula counts."""
    if architecture.family in LATENT_FAMILIES and setting.weights not in FLOATS:
        reason = f"no formula for the copies that vLLM makes of {setting.weights} weights of latent attention yet"
        raise UnsupportedRow("parallel", reason)


@lru_cache(maxsize=MAX_RECORDED)
def rank_of(architecture: Architecture, gpus: int, *, serves: bool) -> Architecture:
    """The part of the first of so many GPUs; refuses by name what does not divide."""
    if architecture.family not in (SERVED_FAMILIES if serves else FAMILIES):
        raise UnsupportedRow("parallel", f"no formula for how {architecture.family} is split over GPUs yet")
    layers = tuple(_kind(kind, gpus, serves=serves) for kind in architecture.layers)
    modules = tuple(_module(module, architecture, gpus, serves=serves) for module in architecture.modules)
    return replace(architecture, modules=modules, layers=layers)


def _kind(kind: LayerKind, gpus: int, *, serves: bool) -> LayerKind:
    attention, feed_forward = kind.attention, kind.feed_forward
    return replace(
        kind,
        attention=replace(
            attention,
            query_heads=_part(attention.query_heads, gpus, "query heads"),
            key_value_heads=_heads(attention, gpus, serves=serves),
        ),
        feed_forward=replace(
            feed_forward,
            intermediate=_part(feed_forward.intermediate, gpus, "feed-forward widths"),
            shared_intermediate=_part(feed_forward.shared_intermediate, gpus, "widths of shared experts"),
        ),
    )


def _heads(attention: Attention, gpus: int, *, serves: bool) -> int:
    """Key-value heads of one GPU: vLLM repeats them where there are fewer than GPUs."""
    heads = attention.key_value_heads
    return 1 if serves and heads < gpus and gpus % heads == 0 else _part(heads, gpus, "key-value heads")


def _part(whole: int, gpus: int, what: str) -> int:
    if whole % gpus:
        raise UnsupportedRow("parallel", f"{whole} {what} cannot be split over {gpus} GPUs")
    return whole // gpus


def _module(module: Module, architecture: Architecture, gpus: int, *, serves: bool) -> Module:
    if module.leaf in KEYS:
        attention = architecture.layers[0].attention
        share = attention.key_value_heads // _heads(attention, gpus, serves=serves)
        return _by_outputs(module, share)
    if module.leaf in BY_OUTPUTS | MERGED | FROM_LATENTS:
        if module.leaf in MERGED:
            _part(architecture.layers[0].attention.key_value_heads, gpus, "key-value heads")
        return _by_outputs(module, gpus)
    if module.kind is ModuleKind.EXPERTS:
        inputs_first = architecture.family == "gpt_oss"
        cut = tuple(_experts(tensor, gpus, inputs_first=inputs_first) for tensor in module.tensors)
        return replace(module, tensors=cut)
    if module.leaf in BY_INPUTS:
        tensors = tuple(_columns(tensor, gpus) for tensor in module.tensors)
        return replace(module, tensors=tensors, in_features=module.in_features // gpus)
    if serves and module.kind in (ModuleKind.HEAD, ModuleKind.EMBEDDING):
        padded = -(-architecture.vocabulary // VOCABULARY_UNIT) * VOCABULARY_UNIT
        rows = _part(padded, gpus, "rows of the vocabulary")
        return replace(module, tensors=tuple(replace(t, shape=(rows, *t.shape[1:])) for t in module.tensors))
    if module.kind in (ModuleKind.HEAD, ModuleKind.EMBEDDING):
        return _by_rows(module, gpus)
    if any(tensor.name == "sinks" for tensor in module.tensors):  # one for each query head
        return _by_rows(module, gpus)
    return module


def _by_outputs(module: Module, share: int) -> Module:
    cut = tuple(replace(t, shape=(t.shape[0] // share, *t.shape[1:])) for t in module.tensors)
    return replace(module, tensors=cut, out_features=module.out_features // share)


def _experts(tensor: Tensor, gpus: int, *, inputs_first: bool) -> Tensor:
    """Gate and up of every expert by their outputs, down by its inputs, whose bias is whole."""
    if tensor.name == "down_proj_bias":
        return tensor
    outputs = tensor.name.startswith("gate_up_proj")
    cut = 2 if outputs == inputs_first and len(tensor.shape) > 2 else 1
    return replace(tensor, shape=tuple(side // (gpus if at == cut else 1) for at, side in enumerate(tensor.shape)))


def _by_rows(module: Module, gpus: int) -> Module:
    """The first GPU's rows of the vocabulary, which need not divide."""
    cut = tuple(replace(t, shape=(-(-t.shape[0] // gpus), *t.shape[1:])) for t in module.tensors)
    return replace(module, tensors=cut)


def _columns(tensor: Tensor, gpus: int) -> Tensor:
    """A bias is whole: it is added once, to the sum."""
    return tensor if len(tensor.shape) < 2 else replace(tensor, shape=(tensor.shape[0], tensor.shape[1] // gpus))


@lru_cache(maxsize=MAX_RECORDED)
def on_rank(programs: Programs, vocabulary: int, gpus: int, dtype: str) -> Programs:
    """The programs of one GPU: beside the logits its own part of them, and all as they were gathered."""
    more = Size(sequence=(-(-vocabulary // gpus) + vocabulary) * BYTES[dtype]).parts()
    moments = [
        {**peak.alive, LOGITS: tuple(map(sum, zip(peak.alive[LOGITS], more, strict=True)))}
        for peak in programs.head.forward.moments
        if LOGITS in peak.alive
    ]
    rest = [peak.alive for peak in programs.head.forward.moments if LOGITS not in peak.alive]
    return replace(programs, head=replace(programs.head, forward=Peaks.of([*rest, *moments])))
