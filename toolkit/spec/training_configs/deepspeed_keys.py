"""DeepSpeed's settings other than the stage and its sizes: the optimizer, and what is not followed.

Sources: DeepSpeed edaa722126, runtime/zero/config.py, runtime/zero/offload_config.py, runtime/precision_config.py,
runtime/constants.py and runtime/engine.py (get_data_types, _configure_basic_optimizer); transformers 5.23
integrations/deepspeed.py (deepspeed_optim_sched: an optimizer in the settings goes before `optim`).
"""

from __future__ import annotations

from toolkit.spec.training_configs.config import Config

_ZERO = "deepspeed.zero_optimization."
_BF16 = "deepspeed.bf16."
_STOPS = (
    (f"{_ZERO}zero_quantized_nontrainable_weights", "frozen weights in 8 bit are not followed"),
    (f"{_ZERO}zeropp_loco_param", "what LoCo keeps of errors is not followed"),
    (f"{_ZERO}offload_optimizer.super_offload", "SuperOffload is not followed"),
    ("deepspeed.fp16.fp16_master_weights_and_grads", "no formula for master weights in float16 yet"),
    ("deepspeed.data_types.grad_accum_dtype", "gradients that are summed in another dtype are not followed"),
    ("deepspeed.tensor_parallel", "tensor parallelism is not followed here"),
    ("deepspeed.weight_quantization", "weights that DeepSpeed quantizes are not followed"),
    ("deepspeed.compression_training", "compression while training is not followed"),
    ("deepspeed.hybrid_engine", "generation between steps is not followed"),
)
_GOES_WITHOUT = (
    (f"{_ZERO}zero_quantized_weights", "weights are counted as they are gathered in 16 bit, without copies in 8 bit"),
    (f"{_ZERO}zero_quantized_gradients", "gradients are counted as they are sent in 16 bit, without copies in 4 bit"),
    (f"{_ZERO}stage3_module_granularity_threshold", "modules that are gathered whole are counted tensor by tensor"),
    (f"{_ZERO}stage3_use_all_reduce_for_fetch_params", "weights are counted as all-gather gathers them"),
    (f"{_ZERO}stage3_allgather_sequential", "weights are counted as they are gathered in buckets"),
    (f"{_ZERO}leaf_module", "modules that are gathered whole are counted tensor by tensor"),
    ("deepspeed.communication_data_type", "copies of gradients in another dtype, to send them, are not counted"),
)
_UNLESS_ONE = (
    (f"{_ZERO}zero_hpz_partition_size", "a second copy of the weights, shared out on a group of GPUs, is not followed"),
    (f"{_ZERO}mics_shard_size", "shards on groups of GPUs are not followed"),
    ("deepspeed.sequence_parallel_size", "sequence parallelism is not followed"),
)
"""Keys for which 1 and less mean none."""
_BINDS_BELOW = 10**9
"""In elements: in every model known here, the parameters below DeepSpeed's default threshold for one sum up to less."""


def take_deepspeed_settings(config: Config, stage: int) -> None:
    """Reads the optimizer of written-out settings, and refuses or notes what moves memory and is not followed."""
    _optimizer(config)
    _master_weights(config)
    config.matters_where_said(_STOPS)
    config.matters_where_said(_GOES_WITHOUT, stops=False)
    for key, reason in _UNLESS_ONE:
        if (config.whole(key) or 0) > 1:
            config.matters(key, reason)
    _part_of_the_states(config)
    if config.node(f"{_ZERO}zenflow") is not None:  # which an empty mapping turns on, too
        config.matters(f"{_ZERO}zenflow", "ZenFlow keeps states of some gradients on the GPU, which is not followed")
    if config.truth(f"{_ZERO}memory_efficient_linear") is False:
        reason = "what torch's own linear layers keep of gathered weights is not counted"
        config.matters(f"{_ZERO}memory_efficient_linear", reason, stops=False)
    if config.truth(f"{_ZERO}reduce_scatter") is False and stage == 3:
        reason = "gradients are counted as they are scattered, not as they are reduced whole"
        config.matters(f"{_ZERO}reduce_scatter", reason, stops=False)
    bound = config.whole(f"{_ZERO}stage3_model_persistence_threshold")
    if bound is not None and bound < _BINDS_BELOW:
        reason = "every parameter below the threshold for one is counted as kept whole"
        config.matters(f"{_ZERO}stage3_model_persistence_threshold", reason, stops=False)


def _part_of_the_states(config: Config) -> None:
    """Reads `ratio`, the share of the optimizer states that are offloaded to main memory; all by default."""
    key = f"{_ZERO}offload_optimizer.ratio"
    share = config.decimal(key)
    if share is not None and share < 1:
        config.matters(key, "states of which a part stays on the GPU are not followed")


def _master_weights(config: Config) -> None:
    """Reads master weights in bfloat16, which need states in bfloat16 or in main memory (base_optimizer.py)."""
    key, states = f"{_BF16}bf16_master_weights_and_grads", f"{_BF16}bf16_optimizer_states"
    narrow = config.truth(states)
    if config.truth(key):
        config.put("master_weights", "bf16", key)
        if not narrow and config.word(f"{_ZERO}offload_optimizer.device") in (None, "none"):
            config.matters(key, "without bf16_optimizer_states DeepSpeed takes it with an offloaded optimizer alone")
    elif narrow:
        config.matters(states, "DeepSpeed takes it with bf16_master_weights_and_grads alone")


def _optimizer(config: Config) -> None:
    key = "deepspeed.optimizer.type"
    kind = config.word(key)
    if kind is None or "optimizer" in config.said:
        return
    if kind.lower() not in ("adam", "adamw"):
        config.matters(key, f"{kind[:40]}: of DeepSpeed's own optimizers Adam and AdamW are followed")
        return
    by_torch = config.truth("deepspeed.optimizer.params.torch_adam")
    config.put("optimizer", "adamw", key)
    config.assume("optimizer_implementation", "foreach" if by_torch else "fused", key)
