"""Keys of axolotl whose effect on memory is not followed, each with the reason."""

from __future__ import annotations

UNSLOTH = "Unsloth's code within axolotl, which newer releases refuse, is not followed"
OF_UNSLOTH = (
    "unsloth_cross_entropy_loss", "unsloth_lora_mlp", "unsloth_lora_qkv", "unsloth_lora_o", "unsloth_rms_norm",
    "unsloth_rope",
)  # fmt: skip
"""utils/schemas/validation.py, check_deprecated_unsloth_fields."""
EMPTIES = "what is reserved is counted as if caches were not emptied between steps"
GENERATES = "what evaluation generates between steps is not followed"

STOPS = (
    ("process_reward_model", "rewards of single steps are not followed"),
    ("unfrozen_parameters", "training of some of a model's parameters is not followed"),
    ("lora_target_parameters", "adapters of parameters that are no modules are not followed"),
    ("lora_rank_pattern", "ranks that differ by module are not followed"),
    ("peft_layers_to_transform", "adapters of some layers are not followed"),
    ("peft_layer_replication", "replicated layers are not followed"),
    ("peft_trainable_token_indices", "trained rows of embeddings are not followed"),
    ("relora", "no formula for ReLoRA yet"),
    ("qat", "no formula for quantization-aware training yet"),
    ("fp8", "no formula for training in fp8 yet"),
    ("gptq", "no formula for training beside GPTQ weights yet"),
    ("quantize_moe_experts", "experts in 4 or 8 bit are not followed"),
    ("model_quantization_config", "training of a dequantized checkpoint is not followed"),
    ("tensor_parallel_size", "tensor parallelism is not followed here"),
    ("context_parallel_size", "context parallelism is not followed"),
    ("sequence_parallel_degree", "sequence parallelism is not followed"),
    ("expert_parallel_size", "expert parallelism is not followed"),
    ("tiled_mlp", "a feed-forward layer in tiles is not followed"),
    ("selective_checkpointing", "checkpointing of some operations is not followed"),
    ("lisa_n_layers", "training of some layers at a time is not followed"),
    ("layer_offloading", "layers in main memory are not followed"),
    ("dp_replicate_size", "shards on groups of GPUs are not followed"),
    ("diffusion", "training on masked tokens has a loss of its own, which is not followed"),
    ("use_onebitllms", "weights in 1.58 bit are not followed"),
    ("relora_steps", "no formula for ReLoRA yet"),
    ("use_eaft", "a loss that weighs tokens by their entropy takes all logits, which is not followed"),
    ("max_packed_sequence_len", "rows that are packed to another length are not followed"),
    ("trainer_cls", "a trainer of one's own is not followed"),
    ("dpo_use_weighting", "weights of answers take all logits, which is not followed"),
    ("dpo_use_liger_kernel", "Liger's loss of preferences is not followed"),
    ("peft_ensure_weight_tying", "one copy of modules that are tied is not followed"),
    *((key, UNSLOTH) for key in OF_UNSLOTH),
    ("chunked_cross_entropy", "no formula for axolotl's chunks of the loss yet"),
)
"""Keys that stop the reading: without them the estimate would be of another run."""

ONE = frozenset(
    {
        "dp_replicate_size",
        "tensor_parallel_size",
        "context_parallel_size",
        "sequence_parallel_degree",
        "expert_parallel_size",
    }
)
"""Keys for which 1 means none."""

LIGER = ("liger_rms_norm", "liger_glu_activation", "liger_rope")
"""Keys of Liger's kernels for parts of a layer: they are followed only together."""

OFFLOADING = "activation_offloading"
SHARED = ("fsdp", "fsdp_config", "deepspeed")
"""Keys of runs on several GPUs, for which TRL's class is not followed."""
MOVED = "activations that are moved to main memory are counted on the GPU"
MOVED_ALL = (
    "beside adapters every activation is moved to main memory and none is made again: counted as if layers ran again"
)

GOES_WITHOUT = (
    (OFFLOADING, MOVED),
    ("torch_compile", "what torch.compile fuses is not followed: the estimate is that of eager code"),
    ("neftune_noise_alpha", "the noise on embeddings is not counted"),
    ("liger_rms_norm", "Liger's kernel for norms is not followed: transformers' code is"),
    ("liger_glu_activation", "Liger's kernel for gated layers is not followed: transformers' code is"),
    ("liger_layer_norm", "Liger's kernel for norms is not followed: transformers' code is"),
    ("use_kernels", "kernels from the Hub are not followed: transformers' code is"),
    ("tokens", "the rows that added tokens need are not counted"),
    ("resize_token_embeddings_to_32x", "the rows that fill embeddings up are not counted"),
    ("shrink_embeddings", "embeddings are counted as the model has them"),
    ("fused_attn_kernel", "a fused kernel for attention is not followed"),
    ("experts_implementation", "kernels for experts are not followed: transformers' code is"),
    ("use_scattermoe", "kernels for experts are not followed: transformers' code is"),
    ("use_sonicmoe", "kernels for experts are not followed: transformers' code is"),
    ("flash_attn_fuse_mlp", "a fused feed-forward layer is not followed"),
    ("flash_attn_cross_entropy", "a fused loss is not followed"),
    ("flash_attn_rms_norm", "a fused norm is not followed"),
    ("gemma4_hybrid_attn_impl", "attention that differs by layer is not followed"),
    ("liger_rms_norm_gated", "Liger's kernel for norms is not followed: transformers' code is"),
    ("llama4_linearized_experts", "experts as linear layers are not followed: transformers' code is"),
    ("liger_rope", "Liger's kernel for positions is not followed: transformers' code is"),
    ("max_memory", "a limit for a card is not followed"),
    ("gpu_memory_limit", "a limit for a card is not followed"),
    ("fp32_norms", "norms in float32 are not followed"),
    ("torch_empty_cache_steps", EMPTIES),
    ("gc_steps", EMPTIES),
    ("gc_collect_steps", EMPTIES),
    ("generate_samples", GENERATES),
    ("eval_table_size", GENERATES),
    ("do_causal_lm_eval", GENERATES),
    ("do_bench_eval", GENERATES),
    ("additional_special_tokens", "the rows that added tokens need are not counted"),
    ("special_tokens.additional_special_tokens", "the rows that added tokens need are not counted"),
    ("freeze_mm_modules", "which parts of a model of images are frozen is not followed"),
    ("image_size", "images, and what a model makes of them, are not counted"),
    ("dpo_padding_free", "rows of preferences are counted with their padding"),
    ("dpo_generate_during_eval", GENERATES),
    ("liger_cross_entropy", "Liger's kernel for the loss of all logits is not followed: transformers' code is"),
    ("ray_num_workers", "under Ray so many GPUs share the run: add --parallel-gpus N"),
    ("embeddings_skip_upcast", "axolotl's casts of embeddings are taken to be undone, as they are with adapters"),
)
"""Keys that the estimate leaves out, or counts as something else."""
