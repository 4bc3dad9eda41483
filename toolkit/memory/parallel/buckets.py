"""Buckets in which DDP exchanges gradients among GPUs, and buffers in which a model is first sent to all of them."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.trainers import MEGATRON
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.weights.storage import storage_of
from toolkit.memory.weights.sums import upcast_bytes
from toolkit.spec.settings.setting import Setting

ROW = "gradient_buckets"

BUFFER = 250 << 20
"""A buffer is sent once it has as much (PARAM_BROADCAST_BUCKET_SIZE, broadcast_bucket_size)."""

AT_ONCE = 2
"""Buffers that are on their way (torch/csrc/distributed/c10d/comm.cpp, broadcast_coalesced)."""


def replicates(setting: Setting) -> bool:
    """Whether each GPU trains a whole model, which the first one sends it before."""
    own = setting.stack.trainer == MEGATRON  # whose gradients are in one buffer, and whose weights go one by one
    return setting.trains and setting.parallel.strategy == "ddp" and setting.parallel.gpus > 1 and not own


def sent_at_first(context: Context) -> int:
    """The most that the allocator holds for the buffers in which a model is sent, in bytes.

    A buffer has the last tensor that it has room for, whatever its size. Beside those that are on their way there may
    be the block of one before, too small for the next.
    """
    setting, sums = context.setting, context.sums
    if not replicates(setting):
        return 0
    stored = storage_of(context.architecture, setting)
    last = max((one.bytes + upcast_bytes(one, setting)) // one.module.count for one in stored)
    everything = sums.weights + sums.upcast + (sums.adapters + sums.copies) * BYTES["fp32"]
    return min((AT_ONCE + 1) * (BUFFER + last), everything)


def gradient_buckets(context: Context, phase: PhaseName) -> int:
    """DDP copies every gradient into a bucket, and buckets stay: in all, the trained parameters in their dtypes.

    Buckets are views of no gradient unless asked for (gradient_as_bucket_view). Those of the first pass are replaced by
    others of the same total (torch/csrc/distributed/c10d/reducer.cpp, initialize_buckets, rebuild_buckets).
    """
    setting, sums, dtypes = context.setting, context.sums, context.numerics
    if not replicates(setting) or phase is PhaseName.LOAD:
        return 0
    own = dtypes.adapter or setting.weights
    if own not in BYTES:
        raise UnsupportedRow(ROW, f"what is trained in place of {own} weights is not known")
    return (sums.elements - sums.copies) * BYTES[own] + sums.copies * BYTES[dtypes.head]
