"""The keys and values that generation keeps for every token."""

from __future__ import annotations

from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.context import Context
from toolkit.memory.formula.caches import cached
from toolkit.memory.formula.caches.quantized_cache import at_step, quantized_bytes, steps_of
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.kept_caches import QUANTIZED, STATIC, room
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.loading.autoawq import keys_bytes, made
from toolkit.memory.size import BYTES


def kv_cache(context: Context, phase: PhaseName) -> int:
    """For every layer, sequence and token: keys and values of its heads, or the latent vector of MLA."""
    setting = context.setting
    if phase is PhaseName.VALIDATION:  # what the model fills, whoever turned it off
        return context.at(phase, cached.ROW)
    if not context.architecture.is_decoder or setting.keeps_none:
        return 0
    if context.architecture.family == LITGPT:
        return _of_litgpt(context, phase)
    if context.architecture.family == AUTOAWQ:
        return _of_autoawq(context, phase)
    if phase is PhaseName.PREFILL:  # a layer with a window keeps a view of all, until decoding replaces it
        return context.at(phase, cached.ROW)
    if phase is PhaseName.DECODE:
        if setting.cache is not None:
            return _of_another(context)
        return cached_bytes(context, setting.sequence_length + max(setting.generated_length - 1, 0))
    return 0


def _of_another(context: Context) -> int:
    """A static cache has room for all tokens from the start; a quantized one packs all but the latest."""
    if context.setting.cache is not None and context.setting.cache.implementation == QUANTIZED:
        return quantized_bytes(context, at_step(context, steps_of(context)))
    return cached_bytes(context, room(context.setting))


def _of_litgpt(context: Context, phase: PhaseName) -> int:
    """Room for all tokens is allocated before the first (litgpt/generate/base.py, main; model.py, set_kv_cache)."""
    setting = context.setting
    if setting.trains or phase not in (PhaseName.PREFILL, PhaseName.DECODE):
        return 0
    return cached_bytes(context, setting.sequence_length + setting.generated_length)


def _of_autoawq(context: Context, phase: PhaseName) -> int:
    """Room for the stated number of tokens; while it is made, at the fullest moment, perhaps without the last layer."""
    if phase is PhaseName.LOAD:
        return made(context).cache
    return sum(2 * kind.count * keys_bytes(context, kind) for kind in context.architecture.layers)


def cached_bytes(context: Context, tokens: int) -> int:
    """Keys and values of so many tokens of every sequence, in all layers, while tokens are decoded."""
    return sum(kind.count * kept_bytes(context, kind, tokens) for kind in context.architecture.layers)


def cached_growth(context: Context) -> int:
    """The most that a growing cache leaves unused: each new tensor is longer than the block of the previous one."""
    length, cache = context.setting.generated_length, context.setting.cache
    if context.architecture.family in (LITGPT, AUTOAWQ) or (cache is not None and cache.implementation == STATIC):
        return 0
    return cached_bytes(context, context.setting.sequence_length + length - 2) if length > 1 else 0


def kept_bytes(context: Context, kind: LayerKind, tokens: int) -> int:
    """The same for one layer of a kind."""
    each = _elements(context, kind, tokens) * BYTES[context.numerics.stream] + _wider_keys(context, kind, tokens)
    return context.setting.batch_size * (each + state_bytes(context, kind))


def _wider_keys(context: Context, kind: LayerKind, tokens: int) -> int:
    """The additional bytes of one sequence's keys where rotary embedding left them in float32."""
    if not behaviour(context.architecture, context.setting).wide_angles:
        return 0
    more = BYTES["fp32"] - BYTES[context.numerics.stream]
    return kept_tokens(context, kind, tokens) * kind.attention.key_value_heads * kind.attention.head_dim * more


def state_bytes(context: Context, kind: LayerKind) -> int:
    """What a layer keeps per sequence of any length: the tokens that a convolution sees, and a float32 state."""
    if kind.mixer is None:
        return 0
    return kind.mixer.window * BYTES[context.numerics.stream] + kind.mixer.state * BYTES["fp32"]


def _elements(context: Context, kind: LayerKind, tokens: int) -> int:
    """Elements of one sequence in one layer. A decoder that attends to an encoder begins with one token of its own."""
    cross = kind.cross_attention
    if kind.stack == "encoder" or kind.attention.recurrent or kind.attention.shares_keys:
        return 0
    each = kept_elements(kind, expanded=caches_expanded(context))
    if cross is None:
        return kept_tokens(context, kind, tokens) * each
    width = cross.key_value_heads * (cross.head_dim + cross.value_head_dim)
    return own_tokens(context, tokens) * each + encoded_length(context) * width


def encoded_length(context: Context) -> int:
    """The positions of an encoder's result: a sound's frames, or the prompt's tokens."""
    return context.architecture.frames or context.setting.sequence_length


def own_tokens(context: Context, tokens: int) -> int:
    """How many of so many tokens the decoder itself has: one where the encoder has the prompt, all beside a sound."""
    return tokens if context.architecture.frames else tokens - context.setting.sequence_length + 1


def cached_elements(kind: LayerKind) -> int:
    """Elements that one token needs in one layer, for all key-value heads."""
    a = kind.attention
    if a.latent_rank is not None:
        return a.latent_rank + (a.rope_dim or 0) + a.index_width
    return a.key_value_heads * (a.head_dim + a.value_head_dim)


def caches_expanded(context: Context) -> bool:
    """Whether the setting's version caches what is computed from a latent."""
    return behaviour(context.architecture, context.setting).caches_expanded


def kept_elements(kind: LayerKind, *, expanded: bool = False) -> int:
    """Elements that transformers keeps of one token in one layer; `expanded` applies to latent attention."""
    a = kind.attention
    if a.latent_rank is not None and expanded:
        return a.query_heads * (a.head_dim + a.value_head_dim) + a.index_width
    return cached_elements(kind) * kept_heads(kind) // kind.attention.key_value_heads


def kept_heads(kind: LayerKind) -> int:
    """Key-value heads, unless they are repeated for every query head before they are kept (Falcon)."""
    a = kind.attention
    return a.query_heads if a.caches_queries else a.key_value_heads


def kept_tokens(context: Context, kind: LayerKind, tokens: int) -> int:
    """A layer with a window keeps that many tokens: a view of all but the first (DynamicSlidingWindowLayer).

    Before that class existed, such a layer kept all tokens.
    """
    window = window_of(context, kind)
    return tokens if window is None else min(tokens, window)


def window_of(context: Context, kind: LayerKind) -> int | None:
    """Tokens that a layer's cache has room for; None where it keeps all."""
    return None if behaviour(context.architecture, context.setting).keeps_all else kind.attention.window
