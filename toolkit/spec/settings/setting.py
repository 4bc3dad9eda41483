"""A setting: a scenario with every field decided, the input of estimates, traces and measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from toolkit.frozen import frozen
from toolkit.spec.fields.peft_methods import Option


@frozen
class Lora:
    """LoRA as peft configures it.

    `targets` is "all-linear" or module names as peft matches them (by suffix); of those named `modules_to_save` peft
    trains whole copies beside the adapters. One matrix may be `frozen`: "a" or "b". Of modules with a name of
    `blocked_a` in theirs A is of so many `blocks` on a diagonal, of those with one of `blocked_b` B.
    """

    rank: int
    alpha: int | None = None
    targets: str | tuple[str, ...] = "all-linear"
    dropout: float = 0.0
    dtype: str | None = None  # None: what the trainer of the stack does
    dora: bool = False
    bias: bool = False
    modules_to_save: tuple[str, ...] = ()
    frozen: str | None = None
    blocks: int = 1
    blocked_a: tuple[str, ...] = ()
    blocked_b: tuple[str, ...] = ()


@frozen
class Peft:
    """A method of peft beside LoRA, whose name is the setting's method.

    `targets` are as LoRA's, None for methods that are put on no modules; `options` are those of `spec.peft_methods`,
    each with its value, in the order of the table.
    """

    targets: str | tuple[str, ...] | None
    rank: int | None
    dtype: str
    options: tuple[tuple[str, Option], ...] = ()


@frozen
class Cache:
    """How transformers' generate() keeps keys and values, where it does not put them together anew for every token.

    `max_cache_len` is for static caches, all after it for quantized ones, as QuantizedCache takes them; None: the
    length of the answer's last token, and no groups where the backend has none.
    """

    implementation: str
    max_cache_len: int | None = None
    backend: str | None = None
    nbits: int | None = None
    axis_key: int | None = None
    axis_value: int | None = None
    q_group_size: int | None = None
    residual_length: int | None = None


@frozen
class Galore:
    """GaLore as transformers configures it.

    `targets` is "all-linear" or parts of the names of linear layers.
    """

    rank: int = 128
    targets: str | tuple[str, ...] = "all-linear"
    update_proj_gap: int = 200


@frozen
class Kernels:
    """Whose kernels run parts of a model: that of GPTQ weights by name, and where Unsloth's or Liger's train."""

    gptq: str | None = None
    adapters: str | None = None
    norm: bool = False
    rotary: bool = False
    awq: str | None = None
    liger: bool | str = False  # "instance": put into a model that is there, else before it is made
    experts: str | None = None
    linear_attention: str | None = None
    convolution: str | None = None
    sdpa: str | None = None  # where nothing masks; None: a fused one


OWN = Kernels()
"""All of a model by its own code."""


@frozen
class Zero:
    """DeepSpeed's settings of ZeRO, in elements; None: as `buckets` says, DeepSpeed's default or transformers' auto."""

    buckets: str = "deepspeed"
    reduce_bucket_size: int | None = None
    prefetch_bucket_size: int | None = None
    param_persistence_threshold: int | None = None
    max_live_parameters: int | None = None
    max_reuse_distance: int | None = None
    sub_group_size: int | None = None
    overlap_comm: bool | None = None
    contiguous_gradients: bool = True


@frozen
class Parallel:
    """How a run is spread over GPUs.

    `offload` is true for all that the strategy can keep in main memory, "optimizer" for the optimizer's part.
    `zero` is for DeepSpeed, `reshard_after_forward` for both forms of FSDP. With `loads_whole` each GPU has all weights
    first. `backward_prefetch`, `limit_all_gathers`, `sync_module_states` and `use_orig_params` are for FSDP; None: as
    torch and the trainer have it. With `wraps_embeddings` the token embedding is a unit of FSDP. `quant_storage` is the
    dtype of the elements that 4-bit weights are packed in; None:
    the compute dtype. `schedule` is the order in which micro-batches go through a pipeline's stages, whose last
    `returns_outputs`; None: one process runs all layers. `stage_layers` are those of each stage; empty: as many each.
    Megatron-LM's stages have theirs in so many `chunks`; so many copies of a pipeline share out the optimizer.
    With `tensor_parallel` it splits each layer over so many GPUs as well.
    """

    gpus: int = 1
    strategy: str = "none"
    offload: bool | str = False
    zero: Zero | None = None
    reshard_after_forward: bool = True
    loads_whole: bool = False
    limit_all_gathers: bool | None = None
    sync_module_states: bool | None = None
    backward_prefetch: str = "pre"
    quant_storage: str | None = None
    use_orig_params: bool | None = None
    wraps_embeddings: bool = False
    schedule: str | None = None
    returns_outputs: bool = True
    stage_layers: tuple[int, ...] = ()
    chunks: int = 1
    optimizer_shards: int = 1
    tensor_parallel: int = 1


@frozen
class Stack:
    """The software that decides defaults: the trainer, the loss implementation, and library versions.

    `result` says how long a loop of somebody's own has a name for what the model gives; None: that is not known.
    """

    trainer: str = "transformers"
    loss: str = "cross-entropy"  # cross-entropy | chunked | fused
    versions: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None  # loss | step | next

    def label(self) -> str:
        """The stack in one line, as evidence records name it."""
        versions = " ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))
        return " ".join(part for part in (self.trainer, versions) if part)


@frozen
class Validation:
    """Passes without gradients between the steps of training, of `batch_size` sequences each.

    Of `kept_batches` of them the logits stay on the GPU until all are joined; 0 where losses alone do.
    """

    batch_size: int
    sequence_length: int
    kept_batches: int = 0


@frozen
class Run:
    """The amounts that decide steps, time and cost; None where not stated."""

    examples: int | None = None
    epochs: int | None = None


@frozen
class Setting:
    """One situation, fully decided. Fields mean what the scenario fields of the same name mean.

    `gradients` and `optimizer_states` are dtypes here, never None: the rules of the stack have been applied.
    `optimizer_implementation` is torch's foreach, fused or for-loop.
    """

    model: str
    method: str
    weights: str
    head: str = "causal-lm"
    labels: int = 0
    double_quant: bool = False
    group_size: int = 128
    desc_act: bool = False
    compute: str = "bf16"
    amp: bool = False
    upcast: bool | None = None  # None: as the stack does
    master_weights: str | None = None
    gradients: str = "bf16"
    optimizer: str = "adamw"
    optimizer_implementation: str = "fused"
    optimizer_states: str = "bf16"
    optimizer_in_backward: bool = False
    activation_offloading: bool = False
    batch_size: int = 1
    sequence_length: int = 512
    generated_length: int = 0
    gradient_accumulation: int = 1
    gradient_checkpointing: str = "false"  # false | reentrant | non-reentrant
    padding: bool = False
    packing: str = "none"  # none | padding-free | rows
    samples_per_row: int = 1
    warmup: bool = False
    evaluation: str = "none"  # none | cached | uncached
    validation: Validation | None = None
    sampling: str = "greedy"  # greedy | top-k | top-p
    objective: str = "next-token"  # next-token | dpo | kto | orpo | cpo | simpo | reward | grpo
    reference: str | None = None  # of dpo, kto and grpo: model | adapters-off | precomputed
    answer_length: int = 0  # of grpo: tokens that the model that trains generates itself
    attention: str = "sdpa"
    loading: str | None = None  # device-map | moved | device-context; None: as the trainer does
    checkpoint_dtype: str | None = None
    earlier_passes: str = "none"  # none | inference | training
    expandable_segments: bool = False  # of torch's allocator
    lora: Lora | None = None
    peft: Peft | None = None
    galore: Galore | None = None
    kernels: Kernels = OWN
    cache: Cache | None = None  # None: put together anew for every token
    uncached: bool = False  # no keys and values are kept: lengths of inference are those of the last pass, over all
    parallel: Parallel = Parallel()
    gpu: str | None = None
    stack: Stack = Stack()
    engine: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    run: Run = Run()

    @property
    def keeps_none(self) -> bool:
        """Whether a model generates without a cache: use_cache=False."""
        return self.uncached or self.evaluation == "uncached"

    @property
    def trains(self) -> bool:
        """Whether gradients are computed."""
        return self.method != "inference"
