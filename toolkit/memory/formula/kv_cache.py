"""Keys and values that generation keeps for every token."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.architecture import LayerKind
from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.size import BYTES
from toolkit.memory.transformers_versions import behaviour

ROW = "kv_cache_growth"


def kv_cache(context: Context, phase: PhaseName) -> int:
    """For every layer, sequence and token: keys and values of its heads, or the latent vector of MLA."""
    setting = context.setting
    if not context.architecture.is_decoder:
        return 0
    if phase is PhaseName.PREFILL:  # a layer with a window keeps a view of all, until decoding replaces it
        each = sum(kind.count * setting.sequence_length * kept_elements(kind) for kind in context.architecture.layers)
        return setting.batch_size * each * BYTES[context.numerics.stream]
    if phase is PhaseName.DECODE:
        return cached_bytes(context, setting.sequence_length + max(setting.generated_length - 1, 0))
    return 0


def cached_bytes(context: Context, tokens: int) -> int:
    """Keys and values of so many tokens of every sequence, in all layers, while tokens are decoded."""
    each = sum(kind.count * _tokens(kind, tokens) * kept_elements(kind) for kind in context.architecture.layers)
    return context.setting.batch_size * each * BYTES[context.numerics.stream]


def cached_elements(kind: LayerKind) -> int:
    """Elements that one token needs in one layer: of every key-value head."""
    a = kind.attention
    if a.latent_rank is not None:
        return a.latent_rank + (a.rope_dim or 0)
    return a.key_value_heads * (a.head_dim + a.value_head_dim)


def kept_elements(kind: LayerKind) -> int:
    """Elements that transformers keeps of one token in one layer."""
    return cached_elements(kind) * _kept_heads(kind) // kind.attention.key_value_heads


def _kept_heads(kind: LayerKind) -> int:
    """Key-value heads, unless they are repeated for every query head before they are kept (Falcon)."""
    a = kind.attention
    return a.query_heads if a.caches_queries else a.key_value_heads


def _tokens(kind: LayerKind, tokens: int) -> int:
    """A layer with a window keeps that many tokens: a view of all but the first (DynamicSlidingWindowLayer)."""
    window = kind.attention.window
    return tokens if window is None else min(tokens, window)


@dataclass(frozen=True, slots=True)
class Growth:
    """What is there beside a cache that grows, in bytes by row: `last` at the last token, `second` at the second.

    `whole` says that `last` is there throughout the pass. `second` is empty where no more is there than later.
    """

    last: int
    whole: bool = False
    second: tuple[tuple[str, int], ...] = ()


def growth(context: Context) -> Growth:
    """One layer's old keys; where versions hand on tuples the whole old cache, and the logits of the prompt with it."""
    setting = context.setting
    version = behaviour(context.architecture, setting)
    if setting.generated_length < 2 or not version.hands_on_tuples:
        return Growth(_one_layer(context))
    last = cached_bytes(context, setting.sequence_length + setting.generated_length - 2)
    if not version.holds_result:
        return Growth(last, whole=True)
    logits = setting.batch_size * setting.sequence_length * context.architecture.vocabulary * BYTES["fp32"]
    new = cached_bytes(context, setting.sequence_length + 1)
    return Growth(last, whole=True, second=((ROW, new), ("logits_float32", logits)))


def _one_layer(context: Context) -> int:
    """The old keys of one layer while new ones are put together; of a layer with a window keys and values."""
    setting = context.setting
    tokens = setting.sequence_length + max(setting.generated_length - 2, 0)
    largest = max(_tokens(kind, tokens) * _growing_elements(kind) for kind in context.architecture.layers)
    return setting.batch_size * largest * BYTES[context.numerics.stream]


def _growing_elements(kind: LayerKind) -> int:
    a = kind.attention
    if a.latent_rank is not None or a.window is not None:
        return kept_elements(kind)
    return _kept_heads(kind) * max(a.head_dim, a.value_head_dim)
