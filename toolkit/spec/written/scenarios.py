"""The fields of a scenario as pydantic models: what may be written under `scenarios` and `with`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic import Field as Alias

from toolkit.spec.fields.value import FieldValue
from toolkit.spec.written.open_value import Open
from toolkit.spec.yaml.scalar import is_null


class Written(BaseModel):
    """What a person writes: no field beyond those declared, no value changed into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False, defer_build=True)


def _null_is_none(raw: Any) -> Any:
    return None if is_null(raw) else raw


class LoraFields(Written):
    """LoRA as peft configures it."""

    rank: Annotated[FieldValue | None, Open("lora.rank")] = None
    alpha: Annotated[FieldValue | None, Open("lora.alpha")] = None
    targets: Annotated[FieldValue | None, Open("lora.targets")] = None
    dropout: Annotated[FieldValue | None, Open("lora.dropout")] = None
    dtype: Annotated[FieldValue | None, Open("lora.dtype")] = None
    dora: Annotated[FieldValue | None, Open("lora.dora")] = None
    bias: Annotated[FieldValue | None, Open("lora.bias")] = None
    modules_to_save: Annotated[FieldValue | None, Open("lora.modules_to_save")] = None
    frozen: Annotated[FieldValue | None, Open("lora.frozen")] = None
    blocks: Annotated[FieldValue | None, Open("lora.blocks")] = None
    blocked_a: Annotated[FieldValue | None, Open("lora.blocked_a")] = None
    blocked_b: Annotated[FieldValue | None, Open("lora.blocked_b")] = None


class PeftFields(Written):
    """A method of peft beside LoRA, as its config has it."""

    targets: Annotated[FieldValue | None, Open("peft.targets")] = None
    rank: Annotated[FieldValue | None, Open("peft.rank")] = None
    dtype: Annotated[FieldValue | None, Open("peft.dtype")] = None
    num_virtual_tokens: Annotated[FieldValue | None, Open("peft.num_virtual_tokens")] = None
    prefix_projection: Annotated[FieldValue | None, Open("peft.prefix_projection")] = None
    encoder_hidden_size: Annotated[FieldValue | None, Open("peft.encoder_hidden_size")] = None
    num_tokens: Annotated[FieldValue | None, Open("peft.num_tokens")] = None
    adapter_len: Annotated[FieldValue | None, Open("peft.adapter_len")] = None
    adapter_layers: Annotated[FieldValue | None, Open("peft.adapter_layers")] = None
    feedforward_modules: Annotated[FieldValue | None, Open("peft.feedforward_modules")] = None
    block_size: Annotated[FieldValue | None, Open("peft.block_size")] = None
    block_share: Annotated[FieldValue | None, Open("peft.block_share")] = None
    n_frequency: Annotated[FieldValue | None, Open("peft.n_frequency")] = None
    decompose_both: Annotated[FieldValue | None, Open("peft.decompose_both")] = None
    decompose_factor: Annotated[FieldValue | None, Open("peft.decompose_factor")] = None
    form: Annotated[FieldValue | None, Open("peft.form")] = None
    mini_r: Annotated[FieldValue | None, Open("peft.mini_r")] = None
    num_vectors: Annotated[FieldValue | None, Open("peft.num_vectors")] = None
    vector_length: Annotated[FieldValue | None, Open("peft.vector_length")] = None
    gralora_k: Annotated[FieldValue | None, Open("peft.gralora_k")] = None
    hybrid_r: Annotated[FieldValue | None, Open("peft.hybrid_r")] = None
    variant: Annotated[FieldValue | None, Open("peft.variant")] = None
    stride_a: Annotated[FieldValue | None, Open("peft.stride_a")] = None
    num_b: Annotated[FieldValue | None, Open("peft.num_b")] = None
    u: Annotated[FieldValue | None, Open("peft.u")] = None
    weight_tying: Annotated[FieldValue | None, Open("peft.weight_tying")] = None
    psoft_orth: Annotated[FieldValue | None, Open("peft.psoft_orth")] = None
    psoft_mag_a: Annotated[FieldValue | None, Open("peft.psoft_mag_a")] = None
    psoft_mag_b: Annotated[FieldValue | None, Open("peft.psoft_mag_b")] = None
    psoft_svd: Annotated[FieldValue | None, Open("peft.psoft_svd")] = None
    ab_svd_init: Annotated[FieldValue | None, Open("peft.ab_svd_init")] = None
    num_subspaces: Annotated[FieldValue | None, Open("peft.num_subspaces")] = None
    subspace_rank: Annotated[FieldValue | None, Open("peft.subspace_rank")] = None
    effective_rank: Annotated[FieldValue | None, Open("peft.effective_rank")] = None
    rank_pattern: Annotated[FieldValue | None, Open("peft.rank_pattern")] = None
    dropout: Annotated[FieldValue | None, Open("peft.dropout")] = None
    para: Annotated[FieldValue | None, Open("peft.para")] = None
    config_a_b: Annotated[FieldValue | None, Open("peft.config_a_b")] = None
    config_c: Annotated[FieldValue | None, Open("peft.config_c")] = None
    config_d_e: Annotated[FieldValue | None, Open("peft.config_d_e")] = None
    theta_d_length: Annotated[FieldValue | None, Open("peft.theta_d_length")] = None


class KernelFields(Written):
    """Whose kernels run parts of a model."""

    gptq: Annotated[FieldValue | None, Open("kernels.gptq")] = None
    awq: Annotated[FieldValue | None, Open("kernels.awq")] = None
    adapters: Annotated[FieldValue | None, Open("kernels.adapters")] = None
    norm: Annotated[FieldValue | None, Open("kernels.norm")] = None
    rotary: Annotated[FieldValue | None, Open("kernels.rotary")] = None
    liger: Annotated[FieldValue | None, Open("kernels.liger")] = None
    experts: Annotated[FieldValue | None, Open("kernels.experts")] = None
    linear_attention: Annotated[FieldValue | None, Open("kernels.linear_attention")] = None
    convolution: Annotated[FieldValue | None, Open("kernels.convolution")] = None
    sdpa: Annotated[FieldValue | None, Open("kernels.sdpa")] = None


class CacheFields(Written):
    """How generation keeps keys and values."""

    implementation: Annotated[FieldValue | None, Open("cache.implementation")] = None
    max_cache_len: Annotated[FieldValue | None, Open("cache.max_cache_len")] = None
    backend: Annotated[FieldValue | None, Open("cache.backend")] = None
    nbits: Annotated[FieldValue | None, Open("cache.nbits")] = None
    axis_key: Annotated[FieldValue | None, Open("cache.axis_key")] = None
    axis_value: Annotated[FieldValue | None, Open("cache.axis_value")] = None
    q_group_size: Annotated[FieldValue | None, Open("cache.q_group_size")] = None
    residual_length: Annotated[FieldValue | None, Open("cache.residual_length")] = None


class ValidationFields(Written):
    """Batches that are evaluated between steps of training."""

    batch_size: Annotated[FieldValue | None, Open("validation.batch_size")] = None
    sequence_length: Annotated[FieldValue | None, Open("validation.sequence_length")] = None
    kept_batches: Annotated[FieldValue | None, Open("validation.kept_batches")] = None


class GaloreFields(Written):
    """GaLore as transformers configures it."""

    rank: Annotated[FieldValue | None, Open("galore.rank")] = None
    targets: Annotated[FieldValue | None, Open("galore.targets")] = None
    update_proj_gap: Annotated[FieldValue | None, Open("galore.update_proj_gap")] = None


class ParallelFields(Written):
    """How a run is spread over GPUs."""

    gpus: Annotated[FieldValue | None, Open("parallel.gpus")] = None
    strategy: Annotated[FieldValue | None, Open("parallel.strategy")] = None
    offload: Annotated[FieldValue | None, Open("parallel.offload")] = None
    reshard_after_forward: Annotated[FieldValue | None, Open("parallel.reshard_after_forward")] = None
    loads_whole: Annotated[FieldValue | None, Open("parallel.loads_whole")] = None
    quant_storage: Annotated[FieldValue | None, Open("parallel.quant_storage")] = None
    backward_prefetch: Annotated[FieldValue | None, Open("parallel.backward_prefetch")] = None
    limit_all_gathers: Annotated[FieldValue | None, Open("parallel.limit_all_gathers")] = None
    sync_module_states: Annotated[FieldValue | None, Open("parallel.sync_module_states")] = None
    use_orig_params: Annotated[FieldValue | None, Open("parallel.use_orig_params")] = None
    wraps_embeddings: Annotated[FieldValue | None, Open("parallel.wraps_embeddings")] = None
    schedule: Annotated[FieldValue | None, Open("parallel.schedule")] = None
    stage_layers: Annotated[FieldValue | None, Open("parallel.stage_layers")] = None
    returns_outputs: Annotated[FieldValue | None, Open("parallel.returns_outputs")] = None
    chunks: Annotated[FieldValue | None, Open("parallel.chunks")] = None
    optimizer_shards: Annotated[FieldValue | None, Open("parallel.optimizer_shards")] = None
    tensor_parallel: Annotated[FieldValue | None, Open("parallel.tensor_parallel")] = None
    buckets: Annotated[FieldValue | None, Open("parallel.buckets")] = None
    reduce_bucket_size: Annotated[FieldValue | None, Open("parallel.reduce_bucket_size")] = None
    allgather_bucket_size: Annotated[FieldValue | None, Open("parallel.allgather_bucket_size")] = None
    overlap_comm: Annotated[FieldValue | None, Open("parallel.overlap_comm")] = None
    contiguous_gradients: Annotated[FieldValue | None, Open("parallel.contiguous_gradients")] = None
    prefetch_bucket_size: Annotated[FieldValue | None, Open("parallel.prefetch_bucket_size")] = None
    param_persistence_threshold: Annotated[FieldValue | None, Open("parallel.param_persistence_threshold")] = None
    max_live_parameters: Annotated[FieldValue | None, Open("parallel.max_live_parameters")] = None
    max_reuse_distance: Annotated[FieldValue | None, Open("parallel.max_reuse_distance")] = None
    sub_group_size: Annotated[FieldValue | None, Open("parallel.sub_group_size")] = None


class StackFields(Written):
    """The software that decides what is left open, and its versions."""

    trainer: Annotated[FieldValue | None, Open("stack.trainer")] = None
    loss: Annotated[FieldValue | None, Open("stack.loss")] = None
    result: Annotated[FieldValue | None, Open("stack.result")] = None
    torch: Annotated[FieldValue | None, Open("stack.torch")] = None
    transformers: Annotated[FieldValue | None, Open("stack.transformers")] = None
    trl: Annotated[FieldValue | None, Open("stack.trl")] = None
    peft: Annotated[FieldValue | None, Open("stack.peft")] = None
    bitsandbytes: Annotated[FieldValue | None, Open("stack.bitsandbytes")] = None
    accelerate: Annotated[FieldValue | None, Open("stack.accelerate")] = None
    unsloth: Annotated[FieldValue | None, Open("stack.unsloth")] = None
    vllm: Annotated[FieldValue | None, Open("stack.vllm")] = None
    litgpt: Annotated[FieldValue | None, Open("stack.litgpt")] = None
    autoawq: Annotated[FieldValue | None, Open("stack.autoawq")] = None
    torchtune: Annotated[FieldValue | None, Open("stack.torchtune")] = None
    torchtitan: Annotated[FieldValue | None, Open("stack.torchtitan")] = None
    deepspeed: Annotated[FieldValue | None, Open("stack.deepspeed")] = None
    flash_attn: Annotated[FieldValue | None, Open("stack.flash-attn"), Alias(alias="flash-attn")] = None
    liger_kernel: Annotated[FieldValue | None, Open("stack.liger-kernel"), Alias(alias="liger-kernel")] = None
    xformers: Annotated[FieldValue | None, Open("stack.xformers")] = None
    triton: Annotated[FieldValue | None, Open("stack.triton")] = None
    torchao: Annotated[FieldValue | None, Open("stack.torchao")] = None
    cuda: Annotated[FieldValue | None, Open("stack.cuda")] = None
    python: Annotated[FieldValue | None, Open("stack.python")] = None


class EngineFields(Written):
    """Settings of an inference engine."""

    gpu_memory_utilization: Annotated[FieldValue | None, Open("engine.gpu_memory_utilization")] = None
    max_model_len: Annotated[FieldValue | None, Open("engine.max_model_len")] = None
    max_num_seqs: Annotated[FieldValue | None, Open("engine.max_num_seqs")] = None
    max_num_batched_tokens: Annotated[FieldValue | None, Open("engine.max_num_batched_tokens")] = None
    kv_cache_dtype: Annotated[FieldValue | None, Open("engine.kv_cache_dtype")] = None
    max_new_tokens: Annotated[FieldValue | None, Open("engine.max_new_tokens")] = None
    enforce_eager: Annotated[FieldValue | None, Open("engine.enforce_eager")] = None


class RunFields(Written):
    """What steps, time and cost follow from."""

    examples: Annotated[FieldValue | None, Open("run.examples")] = None
    epochs: Annotated[FieldValue | None, Open("run.epochs")] = None


class ScenarioFields(Written):
    """One situation. A field left out is open; `null` for a group of fields forgets what it inherits."""

    model: Annotated[FieldValue | None, Open("model")] = None
    head: Annotated[FieldValue | None, Open("head")] = None
    labels: Annotated[FieldValue | None, Open("labels")] = None
    method: Annotated[FieldValue | None, Open("method")] = None
    weights: Annotated[FieldValue | None, Open("weights")] = None
    double_quant: Annotated[FieldValue | None, Open("double_quant")] = None
    group_size: Annotated[FieldValue | None, Open("group_size")] = None
    desc_act: Annotated[FieldValue | None, Open("desc_act")] = None
    compute: Annotated[FieldValue | None, Open("compute")] = None
    amp: Annotated[FieldValue | None, Open("amp")] = None
    upcast: Annotated[FieldValue | None, Open("upcast")] = None
    master_weights: Annotated[FieldValue | None, Open("master_weights")] = None
    gradients: Annotated[FieldValue | None, Open("gradients")] = None
    optimizer: Annotated[FieldValue | None, Open("optimizer")] = None
    optimizer_implementation: Annotated[FieldValue | None, Open("optimizer_implementation")] = None
    optimizer_in_backward: Annotated[FieldValue | None, Open("optimizer_in_backward")] = None
    activation_offloading: Annotated[FieldValue | None, Open("activation_offloading")] = None
    optimizer_states: Annotated[FieldValue | None, Open("optimizer_states")] = None
    batch_size: Annotated[FieldValue | None, Open("batch_size")] = None
    sequence_length: Annotated[FieldValue | None, Open("sequence_length")] = None
    generated_length: Annotated[FieldValue | None, Open("generated_length")] = None
    gradient_accumulation: Annotated[FieldValue | None, Open("gradient_accumulation")] = None
    gradient_checkpointing: Annotated[FieldValue | None, Open("gradient_checkpointing")] = None
    padding: Annotated[FieldValue | None, Open("padding")] = None
    use_cache: Annotated[FieldValue | None, Open("use_cache")] = None
    packing: Annotated[FieldValue | None, Open("packing")] = None
    samples_per_row: Annotated[FieldValue | None, Open("samples_per_row")] = None
    warmup: Annotated[FieldValue | None, Open("warmup")] = None
    evaluation: Annotated[FieldValue | None, Open("evaluation")] = None
    sampling: Annotated[FieldValue | None, Open("sampling")] = None
    objective: Annotated[FieldValue | None, Open("objective")] = None
    reference: Annotated[FieldValue | None, Open("reference")] = None
    answer_length: Annotated[FieldValue | None, Open("answer_length")] = None
    attention: Annotated[FieldValue | None, Open("attention")] = None
    loading: Annotated[FieldValue | None, Open("loading")] = None
    checkpoint_dtype: Annotated[FieldValue | None, Open("checkpoint_dtype")] = None
    earlier_passes: Annotated[FieldValue | None, Open("earlier_passes")] = None
    expandable_segments: Annotated[FieldValue | None, Open("expandable_segments")] = None
    lora: Annotated[LoraFields | None, BeforeValidator(_null_is_none)] = None
    peft: Annotated[PeftFields | None, BeforeValidator(_null_is_none)] = None
    galore: Annotated[GaloreFields | None, BeforeValidator(_null_is_none)] = None
    validation: Annotated[ValidationFields | None, BeforeValidator(_null_is_none)] = None
    kernels: Annotated[KernelFields | None, BeforeValidator(_null_is_none)] = None
    cache: Annotated[CacheFields | None, BeforeValidator(_null_is_none)] = None
    parallel: Annotated[ParallelFields | None, BeforeValidator(_null_is_none)] = None
    gpu: Annotated[FieldValue | None, Open("gpu")] = None
    stack: Annotated[StackFields | None, BeforeValidator(_null_is_none)] = None
    engine: Annotated[EngineFields | None, BeforeValidator(_null_is_none)] = None
    run: Annotated[RunFields | None, BeforeValidator(_null_is_none)] = None


_NOT_FIELDS = frozenset({"extends", "quotes", "title", "note"})


def flat_fields(fields: ScenarioFields) -> Iterator[tuple[str, FieldValue | None]]:
    """The written fields by flat name ("lora.rank"); a group that is `null` as None."""
    for name in _written(fields):
        value = getattr(fields, name)
        if name in _NOT_FIELDS:
            continue
        if isinstance(value, Written):
            aliases = type(value).model_fields
            for inner in _written(value):
                yield f"{name}.{aliases[inner].alias or inner}", getattr(value, inner)
        else:
            yield name, value


def _written(model: Written) -> list[str]:
    """The names of the written fields, in the order of declaration."""
    return [name for name in type(model).model_fields if name in model.model_fields_set]
