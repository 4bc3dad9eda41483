"""What an evaluation keeps of its passes: logits and labels, which a Trainer joins on the GPU."""

from __future__ import annotations

from toolkit.memory.architecture.heads import QUESTION, SEQUENCE, SPAN
from toolkit.memory.context import Context
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.size import BYTES

PREDICTIONS = "predictions"


def predictions(context: Context) -> int:
    """Bytes of one batch's logits, float32 where accelerate or the version makes them so, and of its int64 labels."""
    setting, architecture, numerics = context.setting, context.architecture, context.numerics
    wide = numerics.widens_results or behaviour(architecture, setting).upcasts_early
    width = BYTES["fp32" if wide else numerics.autocast or numerics.head]
    tokens = setting.batch_size * setting.sequence_length
    if architecture.head == SEQUENCE:
        return setting.batch_size * (architecture.labels * width + BYTES["int64"])
    if architecture.head == QUESTION:
        return SPAN * (tokens * width + setting.batch_size * BYTES["int64"])
    return tokens * (architecture.vocabulary * width + BYTES["int64"])
