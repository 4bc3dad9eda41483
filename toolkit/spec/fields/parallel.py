"""The fields that say how a run is spread over GPUs: data only, one entry a field."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import names
from toolkit.spec.fields.counts_kind import Counts
from toolkit.spec.fields.field import Applies, FieldSpec
from toolkit.spec.fields.kind import Boolean, Integer, Kind, one_of
from toolkit.spec.fields.named_kind import Switch

_SHARDED = (
    "weights", "adapters", "gradients", "optimizer_states", "master_weights", "activations", "logits", "kv_cache",
    "engine_pool", "temporary", "device", "time",
)  # fmt: skip
_MOVED_OUT = tuple(what for what in _SHARDED if what not in ("kv_cache", "engine_pool"))
_BUFFERS = ("temporary", "activations", "logits", "reserved", "device", "time")
_WHOLE = ("weights", "adapters", *_BUFFERS)
_ELEMENTS = Integer("a number of elements", 0, 10**13)

GPIPE, ONE_F_ONE_B = "gpipe", "1f1b"
SCHEDULES = {
    GPIPE: "all micro-batches go forward before the first goes back (ScheduleGPipe)",
    ONE_F_ONE_B: "as soon as a stage has as many on their way as stages follow, one goes back for each (Schedule1F1B)",
}
"""In which order the micro-batches of a step go through the stages of a pipeline (torch.distributed.pipelining)."""


def parallel_fields() -> Iterator[FieldSpec]:
    """Every field of `parallel`."""
    yield _field("gpus", Integer("a positive integer", 1, 100_000), "How many GPUs share the run.", "2", _SHARDED)
    yield _field(
        "strategy", one_of("a way to share a run", names.STRATEGIES), "How GPUs share the run.", "fsdp",
        tuple(what for what in _SHARDED if what != "engine_pool"),
    )  # fmt: skip
    yield _field(
        "offload",
        Switch("true, false or optimizer", "what is kept in main memory", names.OFFLOADED),
        "What is kept in main memory: all that the strategy can keep there, or the optimizer's part alone.",
        "optimizer",
        _MOVED_OUT,
    )
    yield _field(
        "reshard_after_forward",
        Boolean(),
        "FSDP: whether the weights of a layer are freed between its forward and its backward (false: SHARD_GRAD_OP).",
        "false",
        _BUFFERS,
        "fsdp or fsdp2",
    )
    yield _field(
        "loads_whole",
        Boolean(),
        "Whether every GPU has all weights before they are shared out: by device_map, or made before DeepSpeed starts.",
        "true",
        ("temporary", "reserved", "device"),
        "shards",
    )
    yield _field(
        "quant_storage",
        one_of("a dtype to pack 4-bit weights in", names.PACKED_IN),
        "The dtype of the elements that bitsandbytes packs 4-bit weights in (bnb_4bit_quant_storage); by default bytes "
        "with fsdp2 and zero3, and the compute dtype with fsdp, which takes no other.",
        "bf16",
        ("weights", *_BUFFERS),
        "shards",
    )
    yield _field(
        "backward_prefetch",
        one_of("when a unit is gathered ahead", names.PREFETCHES),
        "FSDP: when in backward the next unit is gathered; `pre` is torch's own and that of accelerate's launcher.",
        "none",
        _BUFFERS,
        "fsdp",
    )
    yield _field(
        "limit_all_gathers",
        Boolean(),
        "FSDP: whether a unit waits to be gathered until the second one before it is free; by default as torch has it.",
        "true",
        ("reserved", "device"),
        "fsdp",
    )
    yield _field(
        "sync_module_states",
        Boolean(),
        "FSDP: whether one GPU sends its weights to the others as units are made; by default as the trainer has it.",
        "true",
        ("reserved", "device"),
        "fsdp",
    )
    yield _field(
        "use_orig_params",
        Boolean(),
        "FSDP: whether an optimizer has its part of each tensor, not flat parameters; by default as the trainer.",
        "true",
        ("optimizer_states", "temporary", "reserved", "device"),
        "fsdp",
    )
    yield _field(
        "wraps_embeddings",
        Boolean(),
        "FSDP: whether the token embedding is a unit of its own, as a policy that names its class makes it; otherwise "
        "it is gathered with all that no layer has.",
        "true",
        ("weights", "gradients", "optimizer_states", *_BUFFERS),
        "fsdp",
    )
    yield _field(
        "schedule",
        one_of("an order of micro-batches", SCHEDULES),
        "Pipelines of torch.distributed.pipelining: in which order micro-batches go through the stages, one on each "
        "GPU; batch_size is that of a micro-batch and gradient_accumulation how many there are. Without it, one "
        "process runs the layers one GPU after the other (device_map).",
        ONE_F_ONE_B,
        ("activations", "logits", "gradients", "temporary", "reserved", "device", "time"),
        "pipeline",
    )
    yield _field(
        "stage_layers",
        Counts(),
        "Pipelines with a schedule: how many layers each stage has, in order; as many each where nothing is stated.",
        "[9, 9, 8]",
        ("weights", "gradients", "optimizer_states", "activations", *_BUFFERS),
        "pipeline",
    )
    yield _field(
        "returns_outputs",
        Boolean(),
        "Whether the last stage's results of all micro-batches are kept and joined (return_outputs of a schedule's "
        "step, which is true unless it is said otherwise).",
        "false",
        ("logits", "temporary", "reserved", "device"),
        "pipeline",
    )
    yield _field(
        "chunks",
        Integer("a positive integer", 1, 1_000),
        "Megatron-LM's pipelines: in how many parts each stage has its layers, which take turns (interleaved 1F1B): "
        "layers of a stage / --num-layers-per-virtual-pipeline-stage.",
        "2",
        ("activations", "logits", "temporary", "reserved", "device", "time"),
        "pipeline",
    )
    yield _field(
        "optimizer_shards",
        Integer("a positive integer", 1, 100_000),
        "Megatron-LM's pipelines: how many copies of a pipeline share out optimizer states and float32 weights "
        "(--use-distributed-optimizer).",
        "8",
        ("optimizer_states", "master_weights", "reserved", "device", "time"),
        "pipeline",
    )
    yield _field(
        "tensor_parallel",
        Integer("a positive integer", 1, 10_000),
        "Megatron-LM: over how many GPUs each layer is split beside the strategy, without sequence parallelism "
        "(--tensor-model-parallel-size); `gpus` counts copies, or stages.",
        "4",
        ("weights", "gradients", "optimizer_states", "master_weights", *_BUFFERS),
    )
    yield from _deepspeed()


def _deepspeed() -> Iterator[FieldSpec]:
    yield _field(
        "buckets",
        one_of("a source of bucket sizes", names.BUCKETS),
        "Where sizes of ZeRO's buckets come from that nobody says.",
        "auto",
        _WHOLE,
        "deepspeed",
    )
    yield _field(
        "reduce_bucket_size",
        _ELEMENTS,
        "ZeRO: elements of gradients that are reduced at once, which is how long the buffer for them is.",
        "500000000",
        _BUFFERS,
        "deepspeed",
    )
    yield _field(
        "allgather_bucket_size",
        _ELEMENTS,
        "ZeRO 1 and 2: elements of updated weights that are gathered at once, in place.",
        "500000000",
        ("time",),
        "deepspeed",
    )
    yield _field(
        "overlap_comm",
        Boolean(),
        "ZeRO: whether gradients are reduced while backward runs, for which ZeRO 1 and 2 have a second buffer.",
        "true",
        _BUFFERS,
        "deepspeed",
    )
    yield _field(
        "contiguous_gradients",
        Boolean(),
        "ZeRO: whether gradients are copied into one buffer as they come.",
        "true",
        _BUFFERS,
        "deepspeed",
    )
    for name, doc, example, affects in _STAGE_3:
        yield _field(name, _ELEMENTS, f"ZeRO 3, stage3_{name}: {doc}", example, affects, "zero3")
    yield _field(
        "sub_group_size",
        _ELEMENTS,
        "ZeRO 3: elements of a GPU's part that the optimizer updates at once.",
        "1000000000",
        _BUFFERS,
        "zero3",
    )


_STAGE_3 = (
    ("prefetch_bucket_size", "elements that are gathered ahead of their use.", "50000000", _BUFFERS),
    ("param_persistence_threshold", "elements up to which a tensor stays whole on every GPU.", "100000", _WHOLE),
    ("max_live_parameters", "elements up to which gathering goes ahead.", "1000000000", _BUFFERS),
    ("max_reuse_distance", "elements within which a tensor's next use keeps it gathered.", "1000000000", _BUFFERS),
)


def _field(
    name: str, kind: Kind, doc: str, example: str, affects: tuple[str, ...], applies: Applies = "always"
) -> FieldSpec:
    return FieldSpec(f"parallel.{name}", kind, doc, (example,), frozenset(affects), applies)
