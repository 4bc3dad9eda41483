"""What an evaluation keeps of its passes: logits and labels, which a Trainer joins on the GPU."""

from __future__ import annotations

from toolkit.memory.architecture.heads import QUESTION, SEQUENCE, SPAN
from toolkit.memory.context import Context
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.size import BYTES

PREDICTIONS = "predictions"


def predictions(context: Context) -> tuple[int, ...]:
    """Bytes of each tensor that is kept of a batch: logits, and int64 labels.

    Logits are float32 where accelerate or the version makes them so. Under DDP they are those of all GPUs' batches,
    which are gathered first (accelerate accelerator.py, gather_for_metrics).
    """
    setting, architecture, numerics = context.setting, context.architecture, context.numerics
    wide = numerics.widens_results or behaviour(architecture, setting).upcasts_early
    width = BYTES["fp32" if wide else numerics.autocast or numerics.head]
    rows = setting.batch_size * setting.parallel.gpus
    tokens = rows * setting.sequence_length
    if architecture.head == SEQUENCE:
        return rows * architecture.labels * width, rows * BYTES["int64"]
    if architecture.head == QUESTION:
        return SPAN * (tokens * width,) + SPAN * (rows * BYTES["int64"],)
    return tokens * (architecture.labels or architecture.vocabulary) * width, tokens * BYTES["int64"]
