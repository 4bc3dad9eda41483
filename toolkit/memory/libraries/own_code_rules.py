"""What is covered of trainers whose model code is their own: what must hold, in words, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.architecture.torchtitan import OWN_NORM_UNTIL, TORCH_FUSES_NORMS
from toolkit.memory.libraries.versions import older
from toolkit.spec.fields.names import DISTRIBUTED_OPTIMIZER
from toolkit.spec.fields.parallel import ONE_F_ONE_B
from toolkit.spec.settings.setting import OWN, Setting


def of_torchtitan(setting: Setting) -> Iterator[tuple[str, bool]]:
    """Training by torchtitan under fully_shard, without a compiler (torchtitan/config/job_config.py)."""
    mixes = (setting.weights, setting.compute, setting.amp) == ("fp32", "bf16", True)
    yield "full training", setting.method == "full"
    yield "float32 weights and products in bfloat16", mixes and setting.master_weights is None
    yield "gradients and states in float32", {setting.gradients, setting.optimizer_states} == {"fp32"}
    yield "sdpa", setting.attention == "sdpa"
    yield "fsdp2", setting.parallel.strategy == "fsdp2" and not setting.parallel.offload
    yield "checkpoints of torch's newer form", setting.gradient_checkpointing != "reentrant"
    yield "the loss of all tokens at once", setting.stack.loss == "cross-entropy"
    later = not older(setting, "torchtitan", OWN_NORM_UNTIL)
    fuses = not (later and older(setting, "torch", TORCH_FUSES_NORMS))
    yield "torch's fused norm, or checkpoints", fuses or setting.gradient_checkpointing != "false"
    yield "rows that are full", not setting.padding and setting.packing == "none"


def of_megatron(setting: Setting) -> Iterator[tuple[str, bool]]:
    """Pre-training with --bf16, with or without --use-distributed-optimizer, recomputing all of each layer or nothing.

    Source: megatron/training/arguments.py: with --bf16 gradients are accumulated and reduced in float32.
    """
    wide = {setting.gradients, setting.optimizer_states, setting.master_weights} == {"fp32"}
    parallel = setting.parallel
    yield "full training", setting.method == "full"
    yield "bfloat16 weights and products", (setting.weights, setting.compute, setting.amp) == ("bf16", "bf16", False)
    yield "gradients, states and master weights in float32", wide
    yield "fused AdamW", (setting.optimizer, setting.optimizer_implementation) == ("adamw", "fused")
    yield "its own checkpoints of whole layers", setting.gradient_checkpointing in ("false", "reentrant")
    yield "the loss of all tokens at once", setting.stack.loss == "cross-entropy"
    yield "rows that are full", not setting.padding and setting.packing == "none"
    yield "its own kernels", setting.kernels == OWN
    yield "training alone", setting.validation is None
    known = parallel.strategy in ("none", "ddp", DISTRIBUTED_OPTIMIZER)
    yield "whole copies, a distributed optimizer, or 1F1B", known or parallel.schedule == ONE_F_ONE_B


def of_torchtune(setting: Setting) -> Iterator[tuple[str, bool]]:
    """The recipes of torchtune."""
    yield "training", setting.trains
    yield "true precision", setting.weights in ("nf4", "bf16", "fp32") and not setting.amp
    yield "sdpa", setting.attention == "sdpa"
    yield "LoRA without DoRA", setting.lora is None or not setting.lora.dora
    yield "checkpoints of torch's newer form", setting.gradient_checkpointing in ("false", "non-reentrant")
    yield "chunks of the loss, or without", setting.stack.loss in ("chunked", "cross-entropy")
