"""Buckets in which gradients are exchanged among GPUs."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES

ROW = "gradient_buckets"


def gradient_buckets(context: Context, phase: PhaseName) -> int:
    """DDP copies every gradient into a bucket, and buckets stay: in all, the trained parameters in their dtypes.

    Buckets are views of no gradient unless asked for (gradient_as_bucket_view). Those of the first pass are replaced by
    others of the same total (torch/csrc/distributed/c10d/reducer.cpp, initialize_buckets, rebuild_buckets).
    """
    setting, sums, dtypes = context.setting, context.sums, context.numerics
    if setting.parallel.strategy != "ddp" or setting.parallel.gpus == 1 or phase is PhaseName.LOAD:
        return 0
    own = dtypes.adapter or setting.weights
    if own not in BYTES:
        raise UnsupportedRow(ROW, f"what is trained in place of {own} weights is not known")
    return (sums.elements - sums.copies) * BYTES[own] + sums.copies * BYTES[dtypes.head]
