"""Sizes in a torchtune recipe other than the model's: groups of GPUs, and validation batches.

Sources: torchtune bd2a0fc7c3, recipes/full_finetune_distributed.py (init: ParallelDims; setup: batch_size_val).
"""

from __future__ import annotations

from toolkit.spec.fields.value import Fixed
from toolkit.spec.training_configs.config import Config

_ONE_OR_NONE = (
    ("tensor_parallel_dim", "tensor parallelism is not followed here"),
    ("context_parallel_dim", "context parallelism is not followed"),
    ("data_parallel_replicate_dim", "shards on groups of GPUs are not followed"),
)
"""Keys for which 1 means none."""


def take_dimensions(config: Config) -> None:
    """Refuses meshes of GPUs with several dimensions, and sharding over fewer GPUs than run."""
    for key, reason in _ONE_OR_NONE:
        if (config.whole(key) or 1) > 1:
            config.matters(key, reason)
    shards, gpus = config.whole("data_parallel_shard_dim"), config.said.get("parallel.gpus")
    if shards is not None and shards > 0 and gpus is not None and gpus.value != Fixed(shards):
        config.matters("data_parallel_shard_dim", f"shards on {shards} GPUs of those that run are not followed")


def note_validation(config: Config) -> None:
    """Notes where validation has larger batches than training."""
    batch, validated = config.value("batch_size"), config.whole("batch_size_val")
    if config.node("run_val_every_n_steps") is None or not isinstance(batch, int) or validated is None:
        return
    if validated > batch:
        reason = "validation works on more rows at once than training, and is not followed"
        config.matters("batch_size_val", reason, stops=False)
