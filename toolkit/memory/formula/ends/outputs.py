"""What the result of a model's last step holds: its logits, and the cache of the keys and values that it was given."""

from __future__ import annotations

from toolkit.memory.architecture.heads import BASE, MASKED, SEQUENCE
from toolkit.memory.context import Context
from toolkit.memory.formula.caches.kv_cache import cached_bytes
from toolkit.memory.formula.ends.logits import NAMED
from toolkit.memory.formula.ends.summed import SUM
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.losses import ADDS_IN_PLACE, SHORT, TILES, loss_of
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.size import BYTES
from toolkit.spec.fields.result import OWN_LOOP, UNTIL_NEXT

MADE_IN_CHUNKS = ("chunked", SHORT, "fused", "fused wide", ADDS_IN_PLACE, *TILES, "cut")
"""Losses under which the logits of all tokens never are: the result has none."""


def holds_results(context: Context) -> bool:
    """Whether a loop may hold on to the result of the last step; one that is known to does so in its ledger."""
    return _is_own_loop(context) and context.setting.stack.result in (None, UNTIL_NEXT)


def hides_results(context: Context) -> bool:
    """Whether nobody said how long a loop has a name for a result: it may be gone with the loss, or stay on."""
    return _is_own_loop(context) and context.setting.stack.result is None


def _is_own_loop(context: Context) -> bool:
    setting = context.setting
    own = setting.stack.trainer == OWN_LOOP and setting.parallel.schedule is None
    return loss_of(setting) not in (SUM, NAMED) and setting.trains and own


def fills_caches(context: Context) -> bool:
    """Whether a model that is checkpointed may fill its cache all the same, as its config says use_cache.

    It does where not it but what shares it out checkpoints its layers, of which it knows nothing: a loop of somebody's
    own that calls apply_activation_checkpointing (torch/distributed/algorithms/_checkpoint/checkpoint_wrapper.py).
    """
    setting = context.setting
    shared = setting.parallel.strategy in ("fsdp", "fsdp2")
    return shared and holds_results(context) and context.generates and setting.gradient_checkpointing == "non-reentrant"


def warm_logits(context: Context, _: PhaseName) -> int:
    """The logits of the pass before, which a loop over a prompt has a name for until this one gives its own.

    Those of all tokens, as the model's forward gives them: float32 where the version made them so. A model without a
    head gives states of its layers' width, a classifier of encoders logits of every sequence.
    """
    return 0 if context.setting.generated_length else _logits_of_a_pass(context)


def warm_cache(context: Context, _: PhaseName) -> int:
    """The keys and values of the pass before, which are in its result, too."""
    return 0 if context.setting.generated_length else _cache_of_a_pass(context)


def left_by_warmup(context: Context) -> int:
    """What a loop over the prompt held when it was over, before anything was generated."""
    generated = context.setting.generated_length
    return _logits_of_a_pass(context) + _cache_of_a_pass(context) if generated else 0


def _logits_of_a_pass(context: Context) -> int:
    return given_by_a_pass(context) if context.setting.warmup else 0


def given_by_a_pass(context: Context) -> int:
    """Bytes of what one pass gives beside its cache: the logits of all tokens, or what a model without a head has."""
    setting, architecture = context.setting, context.architecture
    if architecture.head == SEQUENCE and not architecture.is_decoder:
        return setting.batch_size * architecture.labels * BYTES[context.numerics.head]
    each = architecture.hidden if architecture.head == BASE else architecture.labels or architecture.vocabulary
    width = BYTES["fp32" if behaviour(architecture, setting).upcasts_early else context.numerics.head]
    return setting.batch_size * setting.sequence_length * each * width


def _cache_of_a_pass(context: Context) -> int:
    setting = context.setting
    return cached_bytes(context, setting.sequence_length) if setting.warmup and not setting.keeps_none else 0


def last_outputs(context: Context) -> int:
    """Bytes that may stay after a step, while a loop has a name for the result: `outputs = model(**batch)`.

    Logits of every token, float32 where the version made them so, and every layer's keys and values: a model fills a
    cache in training too, as its config says use_cache, unless it checkpoints (transformers, modeling_layers.py).
    """
    setting, architecture = context.setting, context.architecture
    if not holds_results(context) or not (context.generates or architecture.head == MASKED):
        return 0
    made = context.numerics.autocast or context.numerics.head  # a product's dtype, which autocast decides
    width = BYTES["fp32" if behaviour(architecture, setting).upcasts_early else made]
    whole = loss_of(setting) not in MADE_IN_CHUNKS
    logits = setting.batch_size * setting.sequence_length * architecture.vocabulary * width if whole else 0
    caches = context.numerics.checkpointing == "false" or fills_caches(context)
    return logits + (cached_bytes(context, setting.sequence_length) if caches and context.generates else 0)
