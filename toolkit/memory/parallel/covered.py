"""What no formula covers of a run on several GPUs, refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from packaging.version import Version

from toolkit.memory.engines.refusal import SERVED_STORAGE
from toolkit.memory.formula.optimizers.on_parts import refusal_on_parts
from toolkit.memory.libraries.trainers import MEGATRON
from toolkit.memory.libraries.transformers_versions import FROM_LOGITS
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.shard_covered import refuse_adapters
from toolkit.memory.parallel.shard_rows import UNSHARDED
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.storage import FLOATS
from toolkit.spec.fields.names import DEEPSPEED, DISTRIBUTED_OPTIMIZER
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.fields.packing import UNPACKED
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.settings.setting import OWN, Setting

WRAPS = frozenset({"transformers", "trl", "plain", "torchtune", "torchtitan"})
"""Trainers that wrap a model as torch and accelerate do."""

SHARDED_STORAGE = frozenset({"fp32", "bf16", "fp16", "nf4", "fp4", "gptq-int4"})
"""Stored forms of which FSDP makes flat parameters."""

HANDS_OUT = frozenset({"transformers", "trl"})
"""Trainers of which it is known how long they have a name for what the model gives on its first GPU."""

UNIFORM = "Must flatten tensors with uniform dtype"
"""torch/distributed/fsdp/_flat_param.py, _validate_tensors_to_flatten: of what is packed and the rest of a layer."""

ALONE_FROM = Version("0.9")
"""Since then ZeRO 3 joins no buffers where one GPU has all parts (partition_parameters.py, _no_gather_coalesced)."""

SCHEDULED = Version("2.13")
"""The release of torch whose schedules are followed: others keep messages and results for longer or for less."""

SPLITS_EMBEDDINGS = Version("5.22")
"""Before, transformers left embeddings whole in some releases and not in others (distributed/mixin.py)."""


def refuse_spread(setting: Setting) -> None:
    """Raise for what no formula covers of a run on several GPUs, or with parts of it on the host."""
    parallel = setting.parallel
    rule = RULES.get(parallel.strategy)
    if parallel.tensor_parallel > 1 and setting.stack.trainer != MEGATRON:
        reason = f"no formula for layers split beside {parallel.strategy} with {setting.stack.trainer} yet"
        raise UnsupportedRow("parallel", reason)
    if parallel.offload and parallel.strategy not in OFFLOADS:
        raise UnsupportedRow("parallel", f"no formula for offloading with strategy {parallel.strategy} yet")
    if rule is None or (parallel.strategy == "none" and parallel.gpus != 1):
        raise UnsupportedRow("parallel", f"no formula for {parallel.gpus} GPUs with {parallel.strategy} yet")
    rule(setting)


def _alone(_: Setting) -> None:
    """Nothing is shared."""


def _copies(setting: Setting) -> None:
    own = (setting.stack.trainer, setting.parallel.strategy) == (MEGATRON, "ddp")
    if setting.stack.trainer not in WRAPS and not own:
        raise UnsupportedRow("parallel", f"no formula for {setting.parallel.strategy} with {setting.stack.trainer} yet")


def _shards_states(setting: Setting) -> None:
    """Raise for Megatron-LM's own optimizer with anything else."""
    if setting.stack.trainer != MEGATRON:
        raise UnsupportedRow("parallel", f"the distributed optimizer is Megatron-LM's, not {setting.stack.trainer}'s")


def _shards(setting: Setting) -> None:
    """Raise for what FSDP cannot share out, or for which no formula says how."""
    strategy = setting.parallel.strategy
    if setting.stack.trainer != "litgpt" or strategy != "fsdp":
        _copies(setting)
    if setting.parallel.gpus == 1:  # torch/distributed/fsdp/_init_utils.py: NO_SHARD where there is one rank
        raise UnsupportedRow("parallel", f"{strategy} shards nothing on one GPU; no formula for it yet")
    if not setting.trains:
        raise UnsupportedRow("parallel", f"no formula for inference with {strategy} yet")
    if setting.weights not in SHARDED_STORAGE:
        raise UnsupportedRow("parallel", f"no formula for {setting.weights} weights with {strategy} yet")
    if strategy == "fsdp" and setting.parallel.quant_storage not in (None, setting.compute):
        reason = f"FSDP does not join {setting.parallel.quant_storage} and {setting.compute}: {UNIFORM}"
        raise UnsupportedRow("parallel", reason)
    _on_parts(setting)


def _cut_by_rows(setting: Setting) -> None:
    """Raise for what fully_shard does otherwise than it is known here."""
    _shards(setting)
    if setting.method != "full" or setting.weights not in FLOATS:
        refuse_adapters(setting)


def _on_parts(setting: Setting) -> None:
    if reason := refusal_on_parts(setting):
        raise UnsupportedRow("optimizer_states", reason)


def _stages(setting: Setting) -> None:
    """Raise for pipelines other than one that `device_map` makes."""
    if setting.parallel.schedule is not None:
        _train_on_schedule(setting)
        return
    if setting.trains:
        _train_in_stages(setting)
        return
    if setting.head != "causal-lm":
        raise UnsupportedRow("parallel", f"no formula for a {setting.head} head on several GPUs yet")
    if setting.stack.trainer != "transformers":
        raise UnsupportedRow("parallel", f"no formula for pipeline with {setting.stack.trainer} yet")


def off_schedule(setting: Setting) -> str:
    """What of a setting nobody knows how a loop runs it by a schedule of torch.distributed.pipelining; empty if all."""
    own = setting.stack.trainer == MEGATRON
    found = {
        "inference": not setting.trains,
        f"{setting.stack.trainer}, but for a plain loop": not own and setting.stack.trainer != OWN_LOOP,
        setting.method: setting.method != "full",
        f"{setting.weights} weights": setting.weights not in FLOATS,
        "several chunks of layers on a stage": setting.parallel.chunks > 1 and not own,
        "an optimizer that copies share out": setting.parallel.optimizer_shards > 1 and not own,
        "autocast": setting.amp,
        f"a {setting.head} head": setting.head != "causal-lm",
        f"the loss {setting.stack.loss}": setting.stack.loss not in ("cross-entropy", FROM_LOGITS),
        "the objective " + setting.objective: setting.objective != NEXT_TOKEN,
        "steps inside of backward": setting.optimizer_in_backward,
        "padded rows": setting.padding,
        f"rows with {setting.packing} packing": setting.packing != UNPACKED,
        "kernels that stand in for parts of a model": setting.kernels != OWN,
    }
    return next((what for what, is_so in found.items() if is_so), "")


def _train_on_schedule(setting: Setting) -> None:
    if what := off_schedule(setting):
        raise UnsupportedRow("parallel", f"no formula for a pipeline with a schedule and {what} yet")
    if older(setting, "torch", SCHEDULED) and setting.stack.trainer != MEGATRON:
        raise UnsupportedRow("parallel", f"no formula for schedules of torch before {SCHEDULED} yet")


def _train_in_stages(setting: Setting) -> None:
    """Raise for what is not known of training a model that `device_map` spreads over GPUs."""
    if setting.stack.trainer not in HANDS_OUT:
        raise UnsupportedRow("parallel", f"no formula for training with pipeline by {setting.stack.trainer} yet")
    if setting.head != "causal-lm":
        raise UnsupportedRow("parallel", f"no formula for training a {setting.head} head with pipeline yet")
    if setting.stack.loss not in ("cross-entropy", "fused", "chunked") or setting.objective != NEXT_TOKEN:
        what = setting.stack.loss if setting.objective == NEXT_TOKEN else setting.objective
        raise UnsupportedRow("parallel", f"no formula for training with pipeline and the loss of {what} yet")
    if setting.optimizer_in_backward:
        raise UnsupportedRow("parallel", "no formula for steps inside of backward with pipeline yet")


def _zero(setting: Setting) -> None:
    """Raise for what DeepSpeed does otherwise than it is known here."""
    strategy = setting.parallel.strategy
    _copies(setting)
    if not setting.trains:
        raise UnsupportedRow("parallel", f"no formula for inference with {strategy} yet")
    if setting.weights not in ((*FLOATS, *FOUR_BIT) if strategy == "zero3" else SHARDED_STORAGE):
        raise UnsupportedRow("parallel", f"no formula for {setting.weights} weights with {strategy} yet")
    storage = setting.parallel.quant_storage
    if storage not in (None, UNSHARDED, setting.compute):  # engine.py, _configure_distributed_model
        reason = f"DeepSpeed casts what is packed in {storage} to {setting.compute}: no such weights"
        raise UnsupportedRow("parallel", reason)
    if strategy == "zero3" and setting.parallel.gpus == 1 and older(setting, "deepspeed", ALONE_FROM):
        reason = f"no formula for what zero3 gathers on one GPU before DeepSpeed {ALONE_FROM} yet"
        raise UnsupportedRow("parallel", reason)
    if strategy != "zero3" and setting.parallel.offload is True:
        raise UnsupportedRow("parallel", f"{strategy} keeps weights on the GPU: it offloads the optimizer")
    _on_parts(setting)


def _split(setting: Setting) -> None:
    """Raise for tensor parallelism other than as vLLM and transformers have it."""
    trainer = setting.stack.trainer
    if setting.trains:
        _split_training(setting)
    if trainer not in ("vllm", "transformers"):
        raise UnsupportedRow("parallel", f"no formula for tensor with {trainer} yet")
    if trainer == "transformers" and older(setting, "transformers", SPLITS_EMBEDDINGS):
        raise UnsupportedRow("parallel", "no formula for tensor with transformers before 5.22 yet")
    if setting.weights not in (SERVED_STORAGE if trainer == "vllm" else FLOATS):
        raise UnsupportedRow("parallel", f"no formula for {setting.weights} weights with tensor yet")


def _split_training(setting: Setting) -> None:
    """Raise for training of split matrices other than by transformers, with an optimizer that takes them as they are.

    torch's foreach steps, transformers' Adafactor and those of bitsandbytes do not (seen in their code's own errors).
    """
    if setting.method != "full":
        raise UnsupportedRow("parallel", f"no formula for {setting.method} with tensor yet")
    if setting.amp:
        raise UnsupportedRow("parallel", "no formula for autocast over split matrices yet")
    if (setting.optimizer, setting.optimizer_implementation) != ("adamw", "fused"):
        how = f"{setting.optimizer}, {setting.optimizer_implementation}"
        raise UnsupportedRow("optimizer_states", f"no formula for a step of {how} over split matrices")


RULES: Mapping[str, Callable[[Setting], None]] = {
    "none": _alone,
    "ddp": _copies,
    DISTRIBUTED_OPTIMIZER: _shards_states,
    "fsdp": _shards,
    "fsdp2": _cut_by_rows,
    "zero1": _zero,
    "zero2": _zero,
    "zero3": _zero,
    "pipeline": _stages,
    "tensor": _split,
}
"""What is refused of each strategy that formulas cover."""

OFFLOADS = frozenset({"fsdp", "fsdp2", *DEEPSPEED})
"""Strategies with formulas for what lies in main memory."""
