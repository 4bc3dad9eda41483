"""The rows of what GPUs share: gathered weights, gradients on their way, and the buffers for both."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.ledger import Category
from toolkit.memory.rows.rule import BACKWARD, FORWARD, STEP, RowRule, pass_row

TEMPORARY, GRADIENTS, ACTIVATIONS, LOGITS = (
    Category.TEMPORARY,
    Category.GRADIENTS,
    Category.ACTIVATIONS,
    Category.LOGITS,
)

_ROWS = (
    pass_row(
        "gathered_parameters",
        TEMPORARY,
        "FSDP: bytes of the root unit, of the layer that runs and, in backward without reentry, of the next one; ZeRO "
        "3: of the weight that runs, of those gathered ahead with their buffer, and of those soon used again",
        "torch/distributed/fsdp/_runtime_utils.py, _pre_forward_unshard, _pre_backward_hook, _prefetch_handle; "
        "deepspeed runtime/zero/partitioned_param_coordinator.py",
        "Whole weights, put together of the parts of all GPUs. What FSDP has outside the layers stays until backward "
        "is done; ZeRO 3 keeps what it uses again within stage3_max_reuse_distance.",
        (FORWARD, BACKWARD),
    ),
    pass_row(
        "gathering_buffer",
        TEMPORARY,
        "fully_shard: bytes of the unit whose gathered parts are copied out of it",
        "torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py, foreach_all_gather, foreach_all_gather_copy_out",
        "The parts of all GPUs as they come, beside the tensors that they are copied to.",
        (FORWARD, BACKWARD),
    ),
    pass_row(
        "flat_gradient",
        TEMPORARY,
        "FSDP: bytes of a unit in the dtype in which it is gathered; ZeRO: of a GPU's part in the weights' dtype",
        "torch/distributed/fsdp/_flat_param.py, _get_unflat_views_aligned (torch.split); _reduce_grad; "
        "torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py, foreach_reduce; deepspeed runtime/zero/stage3.py, "
        "_prepare_fp32_grad_for_sub_group",
        "Gradients in one tensor, beside them, before each GPU gets its part of the sum or the optimizer gets them.",
        (FORWARD, BACKWARD, STEP),
    ),
    pass_row(
        "reduce_bucket",
        TEMPORARY,
        "ZeRO: reduce_bucket_size x bytes; twice with overlap_comm in ZeRO 1 and 2",
        "deepspeed runtime/zero/stage_1_and_2.py, setup_buckets; stage3.py, _setup_for_real_optimizer",
        "The buffer that gradients are copied to as they come, and are reduced in. ZeRO 3 keeps it throughout.",
        (FORWARD, BACKWARD, STEP),
    ),
    pass_row(
        "reduce_copy",
        TEMPORARY,
        "min(reduce_bucket_size, trained elements) x bytes; ZeRO 1 and 2: since DeepSpeed 0.12.4, and of a weight that "
        "is larger than that",
        "deepspeed runtime/comm/coalesced_collectives.py, reduce_scatter_coalesced; runtime/zero/stage_1_and_2.py, "
        "average_tensor, allreduce_bucket",
        "The gradients of a buffer once more, in the order in which GPUs get their parts of them.",
        (BACKWARD,),
    ),
    pass_row(
        "float32_gradients",
        GRADIENTS,
        "ZeRO: elements that a GPU updates x 4; ZeRO 3: of so many at a time as sub_group_size says",
        "deepspeed runtime/zero/stage_1_and_2.py, step; stage3.py, _prepare_fp32_grad_for_sub_group",
        "A GPU's part of the gradients in float32, for the optimizer.",
        (STEP,),
    ),
    pass_row(
        "offload_buffer",
        TEMPORARY,
        "ZeRO 1 and 2 with the optimizer in main memory: elements of the largest weight x bytes",
        "deepspeed runtime/zero/stage_1_and_2.py, temp_grad_buffer_for_gpu_offload",
        "The buffer through which gradients go to main memory.",
        (FORWARD, BACKWARD, STEP),
    ),
    pass_row(
        "skipped_gradients",
        TEMPORARY,
        "ZeRO 1 and 2 in float16, DeepSpeed from 0.8.2 until 0.17.1: bytes of the gradients that a GPU keeps",
        "deepspeed runtime/zero/stage_1_and_2.py, step (overflow: averaged_gradients = {}); utils/tensor_fragment.py, "
        "gradient_dict",
        "What the first step leaves behind whose scaled gradients overflow, for as long as the run lasts.",
        (FORWARD, BACKWARD, STEP),
    ),
    pass_row(
        "received_buffers",
        TEMPORARY,
        "pipelines with a schedule: micro-batches x T x hidden width x bytes, for what a stage is given, and for its "
        "gradient where it hands something on",
        "torch/distributed/pipelining/stage.py, _setup_forward_recv_info, _create_grad_recv_info",
        "Buffers that torch makes before the first step for what a stage receives of each micro-batch, and keeps.",
        (FORWARD, BACKWARD, STEP),
    ),
    pass_row(
        "stage_results",
        ACTIVATIONS,
        "pipelines with a schedule: micro-batches that are on their way or whose messages torch still has x T x hidden "
        "width x bytes",
        "torch/distributed/pipelining/stage.py, forward_one_chunk (fwd_cache); schedules.py (fwd_sends_to_wait)",
        "What a stage has given the next, which it keeps until the micro-batch is back.",
        (FORWARD, BACKWARD),
    ),
    pass_row(
        "returned_results",
        LOGITS,
        "pipelines with a schedule: micro-batches that are done x T x V x bytes, twice when they are joined; without "
        "return_outputs the last one's until the next is given",
        "torch/distributed/pipelining/stage.py, output_chunks; schedules.py, _merge_outputs",
        "Results of the last stage, which stay there until the next step, and which torch joins for who asked for "
        "the step.",
        (FORWARD, BACKWARD, STEP),
    ),
)


def _moved_by_update(rule: RowRule) -> RowRule:
    """A row of the optimizer's step: which of its moments is the fullest follows what the optimizer needs."""
    return replace(rule, fields=(*rule.fields, "optimizer", "optimizer_implementation"))


SHARING_ROWS = tuple(_moved_by_update(rule) if STEP in rule.phases else rule for rule in _ROWS)
"""What sharing adds to the rows of a pass."""
