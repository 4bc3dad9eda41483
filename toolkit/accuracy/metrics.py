"""The prediction of each metric that a reading may have. A reading is compared with its own metric alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from toolkit.accuracy.added import added_by_prompt, added_by_token
from toolkit.memory.context import Context
from toolkit.memory.device import context_interval, workspace_bytes
from toolkit.memory.estimate import Estimate, Holdings
from toolkit.memory.formula.engine.cache import token_bytes
from toolkit.memory.formula.engine.engine import cache_room, profiled
from toolkit.memory.ledger import STEADY, Category, Phase, PhaseName
from toolkit.memory.parallel.buckets import ROW as BUCKETS
from toolkit.memory.parallel.flat_parts import whole_adapters
from toolkit.memory.parallel.micro_batches import RECEIVED
from toolkit.memory.parallel.zero_moments import BUCKET, FLOAT, SKIPPED
from toolkit.memory.pass_ends import after_backward, after_forward
from toolkit.memory.programs.moments import NAMED
from toolkit.memory.replay.reserved import counted, reserved_on_card, shown_by_card
from toolkit.memory.rows.phase_sizes import PhaseSizes

Bytes = tuple[int, int]
UPCAST = "upcast_parameters"
"""The row of what peft's prepare_model_for_kbit_training adds, which runs before adapters are added."""
Predicts = Callable[[Estimate], Bytes | None]
Held = Callable[[Holdings], Bytes | None]


def _point(amount: int) -> Bytes:
    return amount, amount


def _allocated(estimate: Estimate) -> Bytes:
    return _point(estimate.allocated)


def _at_load(estimate: Estimate) -> Bytes | None:
    """The loaded model with adapters that are to be trained, and the parameters that were upcast to float32 before."""
    phase, trained = estimate.ledger.phase(PhaseName.LOAD), estimate.ledger.phase(PhaseName.FORWARD_END)
    prepared = sum(row.bytes for row in trained.rows if row.name == UPCAST) if trained is not None else 0
    added = trained.of(Category.ADAPTERS) if trained is not None else 0
    return _point(phase.total + added + prepared) if phase else None


def weights_bytes(estimate: Holdings) -> Bytes | None:
    """The model's weights as stored on the GPU; for vLLM, all that loading adds to what torch counts."""
    phase = estimate.ledger.phase(PhaseName.LOAD)
    if phase is not None and estimate.setting.stack.trainer == "vllm":
        return _point(phase.total)
    return _point(phase.of(Category.WEIGHTS)) if phase else None


def _after_step(estimate: Holdings) -> Bytes | None:
    """What is held between steps, the workspaces in torch's allocator, and results that are still referenced.

    A training loop of one's own may still reference the last outputs; where it says how long, a row has them. DDP keeps
    its buckets. ZeRO 1 and 2 free all gradients while they step (deepspeed runtime/zero/stage_1_and_2.py, step:
    averaged_gradients, single_grad_partition).
    """
    phase = estimate.ledger.phase(PhaseName.OPTIMIZER_STEP)
    if phase is None:
        return None
    steps_apart = estimate.setting.parallel.strategy in ("zero1", "zero2")
    kept = [category for category in STEADY if not (steps_apart and category is Category.GRADIENTS)]
    beside = sum(row.bytes for row in phase.rows if row.name in (NAMED, SKIPPED, RECEIVED, BUCKETS))
    held = phase.of(*kept, Category.WORKSPACE) + beside
    if estimate.setting.parallel.strategy == "zero3":
        held += _buffers(phase)
    return held, held + (estimate.outputs if estimate.setting.stack.result is None else 0)


def _buffers(phase: Phase) -> int:
    """The bytes that ZeRO 3 holds in addition between steps: a bucket, less the float32 gradients of a step.

    Source: deepspeed runtime/zero/stage3.py, _setup_for_real_optimizer, _release_sub_group.
    """
    return sum({BUCKET: row.bytes, FLOAT: -row.bytes}.get(row.name, 0) for row in phase.rows)


def _after_stage(estimate: Estimate) -> Bytes | None:
    """The same without gradients, which are set to None after the last step.

    FSDP frees the gradients that it shards only before the next pass (torch/distributed/fsdp/_runtime_utils.py,
    _root_pre_forward); those of parameters that it ignores are free by then. Ignored adapters are not in the sum of
    what changed within stages: they are moved to the GPU after the Trainer is made and before its training begins
    (fms_acceleration_foak framework_plugin_fast_kernels.py, get_callbacks_and_ready_for_train; transformers
    trainer_utils.py, TrainerMemoryTracker). ZeRO 3 has its gradients in a buffer of its own (stage3.py,
    grad_partitions_flat_buffer).
    """
    if estimate.setting.parallel.strategy == "zero3":
        return _after_step(estimate)
    phase = estimate.ledger.phase(PhaseName.OPTIMIZER_STEP)
    ignores = estimate.setting.parallel.strategy == "fsdp" and whole_adapters(estimate.setting)
    if estimate.setting.parallel.strategy == "fsdp" and not ignores:
        return _after_step(estimate)
    uncounted = (Category.GRADIENTS, Category.ADAPTERS) if ignores else (Category.GRADIENTS,)
    kept = [category for category in STEADY if category not in uncounted]
    return _point(phase.of(*kept, Category.WORKSPACE)) if phase else None


def _over_forward(estimate: Estimate) -> Bytes | None:
    """The fullest moment of the forward pass, with what stays from step to step."""
    phase = estimate.ledger.phase(PhaseName.FORWARD_END)
    return _point(phase.total) if phase else None


def _after_forward(estimate: Estimate) -> Bytes | None:
    """What is saved for backward, or the result of a pass without gradients, as long as it is referenced."""
    return _ends(estimate, after_forward)


def _after_backward(estimate: Estimate) -> Bytes | None:
    """The gradients, and what the training loop still references."""
    return _ends(estimate, after_backward)


def _ends(estimate: Estimate, after: Callable[[Context], tuple[PhaseSizes, ...]]) -> Bytes | None:
    """The least and the most that may be alive at the end of a pass, on the estimate's GPU."""
    if estimate.context is None:
        return None
    setting = estimate.setting
    workspace = workspace_bytes(setting.gpu, setting.stack.versions)
    totals = [phase.total for phase in after(replace(estimate.context, workspace=workspace))]
    return (min(totals), max(totals)) if totals else None


def _between_tokens(estimate: Estimate) -> Bytes | None:
    phase = estimate.ledger.phase(PhaseName.DECODE)
    return _point(phase.of(*STEADY, Category.WORKSPACE)) if phase else None


def _added_by_prompt(estimate: Estimate) -> Bytes | None:
    added = added_by_prompt(estimate)
    return None if added is None else _point(added)


def _added_by_token(estimate: Estimate) -> Bytes | None:
    added = added_by_token(estimate)
    return None if added is None else _point(added)


def _with_context(estimate: Estimate) -> Bytes:
    low, high = context_interval(estimate.setting.gpu, estimate.setting.stack.versions)
    return estimate.allocated + low, estimate.allocated + high


def _unstated(estimate: Estimate) -> Bytes:
    """The least and the most that a reading without a metric can mean: live tensors up to device memory."""
    return estimate.allocated, estimate.device[1]


def _profiled(estimate: Estimate) -> Bytes | None:
    """Raises UnsupportedRow where no formula follows vLLM's profile run."""
    return profiled(estimate.context) if estimate.context is not None else None


def _cache_room(estimate: Estimate) -> Bytes | None:
    """Raises UnsupportedRow where no formula follows vLLM's profile run."""
    return cache_room(estimate.context) if estimate.context is not None else None


def _per_token(estimate: Holdings) -> Bytes | None:
    """Raises UnsupportedRow where no formula says how vLLM shares out its blocks."""
    return _point(token_bytes(estimate.context)) if estimate.context is not None else None


PREDICTS: Mapping[str, Predicts | str] = {
    "allocated": _allocated,
    "allocated_at_load": _at_load,
    "allocated_after_step": _after_step,
    "allocated_after_stage": _after_stage,
    "allocated_between_tokens": _between_tokens,
    "allocated_over_forward": _over_forward,
    "allocated_after_forward": _after_forward,
    "allocated_after_backward": _after_backward,
    "allocated_and_context": _with_context,
    "added_by_prompt": _added_by_prompt,
    "added_by_token": _added_by_token,
    "reserved": reserved_on_card,
    "reserved_p99": reserved_on_card,
    "reserved_mean": "a mean over steps of different lengths",
    "device": shown_by_card,
    "weights": weights_bytes,
    "vllm_activations": _profiled,
    "vllm_outside_torch": "what CUDA and NCCL take beside torch has no row: no source of theirs says it",
    "vllm_graphs": "what CUDA graphs keep has no row: no source of CUDA says it",
    "vllm_kv_cache": _cache_room,
    "vllm_kv_per_token": _per_token,
    "unstated": _unstated,
}
"""How each metric is predicted from an estimate, or why it cannot be."""

COUNTED: Mapping[str, Predicts] = {"allocated": counted}
"""How a metric is predicted of a run that leaves nothing open: as torch counts it, in whole blocks."""

REPLAYED = frozenset(name for name, predicts in PREDICTS.items() if predicts in (reserved_on_card, shown_by_card))
"""Metrics for which runs are replayed through the caching allocator."""

HELD: Mapping[str, Held] = {
    "allocated_after_step": _after_step,
    "weights": weights_bytes,
    "vllm_kv_per_token": _per_token,
}
"""How metrics are predicted that need no pass through the model: what is held between steps."""

PARTS = frozenset({"added_by_prompt", "added_by_token", "vllm_activations", "vllm_kv_cache", "vllm_kv_per_token"})
"""Metrics of memory other than weights, which may be less than the weights."""
