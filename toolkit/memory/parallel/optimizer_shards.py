"""Copies of a model, or of a pipeline, that share out Megatron-LM's optimizer among them."""

from __future__ import annotations

from toolkit.spec.fields.names import DISTRIBUTED_OPTIMIZER
from toolkit.spec.settings.setting import Parallel


def optimizer_shards(parallel: Parallel) -> int:
    """In how many parts optimizer states and float32 weights are shared out: 1 where each copy has all of its own.

    Source: megatron/core/optimizer/distrib_optimizer.py, of flat buffers, whose padding is left out.
    """
    return parallel.gpus if parallel.strategy == DISTRIBUTED_OPTIMIZER else parallel.optimizer_shards
