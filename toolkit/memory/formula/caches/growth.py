"""What is there beside a growing cache: old keys, an old cache as a whole, results that the loop still refers to."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.context import Context
from toolkit.memory.formula.caches.kv_cache import (
    cached_bytes,
    caches_expanded,
    encoded_length,
    kept_bytes,
    kept_elements,
    kept_heads,
    kept_tokens,
    own_tokens,
    window_of,
)
from toolkit.memory.formula.caches.quantized_cache import last_update, steps_of
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS
from toolkit.memory.libraries.kept_caches import QUANTIZED, room
from toolkit.memory.libraries.transformers_versions import Behaviour, behaviour, decodes_itself
from toolkit.memory.loading.autoawq import keys_bytes, room_of
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES

ROW = "kv_cache_growth"

WITH_ENCODER = "an encoder and a decoder itself is not followed; for generate() say stack.trainer: transformers"


@frozen
class Growth:
    """What is there beside a growing cache, in bytes by row: `last` at the last token, `second` at the second.

    `whole` says that `last` is there throughout the pass. `second` is what is there beside the prompt's cache; it is
    empty where later tokens have as much. With `decoded` the prompt's cache is there while the second token makes its
    own; it is larger where keys and values are views of a tensor with the queries. `first` are old keys that are there
    only while a layer's cache grows. `keys` are the tokens to which the last one attends; `held` is an encoder's
    result, which generation keeps.
    """

    last: int
    keys: int
    held: tuple[tuple[str, int], ...] = ()
    whole: bool = False
    second: tuple[tuple[str, int], ...] = ()
    decoded: bool = False
    first: int = 0


def growth(context: Context) -> Growth:
    """One layer's old keys; in versions with tuples the whole old cache, and the prompt's logits with it."""
    setting = context.setting
    if decodes_itself(setting) and any(kind.stack == "encoder" for kind in context.architecture.layers):
        raise UnsupportedRow(ROW, f"a loop that calls {WITH_ENCODER}")
    if setting.uncached and any(kind.stack == "encoder" for kind in context.architecture.layers):
        raise UnsupportedRow(ROW, "a decoder beside an encoder without a cache is not followed")
    version = behaviour(context.architecture, setting)
    keys = setting.sequence_length + max(setting.generated_length - 1, 0)
    if context.architecture.family == LITGPT:
        return Growth(0, context.scale.keys or keys)
    if context.architecture.family == AUTOAWQ:
        return Growth(_rolled(context), keys)
    if setting.keeps_none:
        return Growth(0, keys)
    if setting.cache is not None:
        return _of_another_growth(context)
    given, held = _given(context, version, setting.sequence_length), _held(context, version)
    new = cached_bytes(context, setting.sequence_length + 1)
    if setting.generated_length < 2 or not version.hands_on_tuples:
        named = decodes_itself(setting) and version.holds_result and setting.generated_length > 1
        second = ((ROW, new - cached_bytes(context, setting.sequence_length)), given) if named else ()
        last, first = _one_layer(context), _one_layer(context, 2)
        return Growth(last, keys, (*_encoded(context), *held), second=second, first=first)
    last = cached_bytes(context, setting.sequence_length + setting.generated_length - 2)
    if not version.holds_result:
        return Growth(last, keys, held, whole=True, decoded=True)
    return Growth(last, keys, held, whole=True, second=((ROW, new), given))


def _given(context: Context, version: Behaviour, tokens: int) -> tuple[str, int]:
    """The logits of so many tokens of each sequence, as the model returns them."""
    setting = context.setting
    wide = version.upcasts_early if decodes_itself(setting) else not version.own_head
    width = BYTES["fp32" if wide else context.numerics.head]
    return FLOAT if wide else LOGITS, setting.batch_size * tokens * context.architecture.vocabulary * width


def _held(context: Context, version: Behaviour) -> tuple[tuple[str, int], ...]:
    """What a plain loop refers to at the last token: the previous result, or the prompt's result as well."""
    setting = context.setting
    named = decodes_itself(setting) and (version.holds_result or version.keeps_prompt)
    before = 1 if named and setting.generated_length > 2 else 0
    tokens = before + (setting.sequence_length if version.keeps_prompt else 0)
    return (_given(context, version, tokens),) if tokens else ()


def _rolled(context: Context) -> int:
    """A copy of a layer's values, shifted by 100 tokens, where there is no room for the next (roll_kv_n_steps)."""
    kind, setting = context.architecture.layers[0], context.setting
    full = setting.sequence_length + setting.generated_length - 1 > room_of(context)
    return keys_bytes(context, kind) if full and setting.generated_length > 1 else 0


def _of_another_growth(context: Context) -> Growth:
    """What a token needs beside a cache that does not grow, and the mask that excludes its empty part.

    A static layer whose window is full shifts all its tokens by one, in new tensors (StaticSlidingWindowLayer).
    """
    setting = context.setting
    if setting.cache is not None and setting.cache.implementation == QUANTIZED:
        return Growth(last_update(context), setting.sequence_length + steps_of(context))
    tokens = room(setting)
    seen = setting.sequence_length + max(setting.generated_length - 2, 0)
    full = [kind for kind in context.architecture.layers if (kind.attention.window or tokens) <= min(seen, tokens - 1)]
    mask = setting.batch_size * tokens * BYTES["bool"] if setting.attention == "sdpa" else 0
    last = max((kept_bytes(context, kind, tokens) for kind in full), default=0)
    return Growth(last, tokens, (("attention_mask", mask),) if mask else ())


def _encoded(context: Context) -> tuple[tuple[str, int], ...]:
    """The result of an encoder: a vector of the hidden width for every token of the prompt."""
    if all(kind.cross_attention is None for kind in context.architecture.layers):
        return ()
    tokens = context.setting.batch_size * encoded_length(context)
    return (("residual_stream", tokens * context.architecture.hidden * BYTES[context.numerics.stream]),)


def _one_layer(context: Context, generated: int | None = None) -> int:
    """The old keys of one layer while new ones are concatenated; for a layer with a window keys and values."""
    setting = context.setting
    tokens = setting.sequence_length + max((generated or setting.generated_length) - 2, 0)
    every = (kind for kind in context.architecture.layers if kind.stack != "encoder")
    layers = [kind for kind in every if not kind.attention.recurrent]
    if any(kind.cross_attention is not None for kind in layers):
        tokens = own_tokens(context, tokens)
    each = (kept_tokens(context, kind, tokens) * _growing_elements(context, kind) for kind in layers)
    largest = max(each, default=0)
    return setting.batch_size * largest * BYTES[context.numerics.stream]


def _growing_elements(context: Context, kind: LayerKind) -> int:
    a = kind.attention
    expanded = caches_expanded(context)
    if (a.latent_rank is not None and not expanded) or window_of(context, kind) is not None:
        return kept_elements(kind, expanded=expanded)
    return kept_heads(kind) * max(a.head_dim, a.value_head_dim)
