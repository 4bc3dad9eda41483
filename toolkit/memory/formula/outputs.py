"""What the result of a model's last step holds: its logits, and the cache of the keys and values that it was given."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.formula.kv_cache import cached_bytes
from toolkit.memory.numerics import loss_of
from toolkit.memory.size import BYTES
from toolkit.memory.transformers_versions import behaviour

OWN_LOOPS = ("plain",)
"""Trainers that are a loop of somebody's own: whether it has a name for the model's result is not known."""

MADE_IN_CHUNKS = ("chunked", "fused", "tiled")
"""Losses under which the logits of all tokens never are: the result has none."""


def holds_results(context: Context) -> bool:
    """Whether a loop may hold on to the result of the last step."""
    return context.setting.trains and context.setting.stack.trainer in OWN_LOOPS


def last_outputs(context: Context) -> int:
    """Bytes that may stay after a step, while a loop has a name for the result: `outputs = model(**batch)`.

    Logits of every token, float32 where the version made them so, and every layer's keys and values: a model fills a
    cache in training too, as its config says use_cache, unless it checkpoints (transformers, modeling_layers.py).
    """
    setting, architecture = context.setting, context.architecture
    if not holds_results(context) or not context.generates:
        return 0
    width = BYTES["fp32" if behaviour(architecture, setting).upcasts_early else context.numerics.head]
    whole = loss_of(setting) not in MADE_IN_CHUNKS
    logits = setting.batch_size * setting.sequence_length * architecture.vocabulary * width if whole else 0
    caches = context.numerics.checkpointing == "false"
    return logits + (cached_bytes(context, setting.sequence_length) if caches else 0)
