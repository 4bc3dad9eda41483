"""The names that a spec may use where one of a known list is asked for, each with what it means."""

from __future__ import annotations

from toolkit.spec.fields.peft_methods import PEFT_METHODS

METHODS = {
    "inference": "run the model",
    "full": "train every parameter",
    "lora": "train low-rank adapters beside a frozen 16-bit or 8-bit model",
    "qlora": "train low-rank adapters beside a frozen 4-bit model",
    **{name: method.meaning for name, method in PEFT_METHODS.items()},
}
LORA = ("lora", "qlora")
"""Methods that the group `lora` is for."""
MISS_FORMS = {
    "default": "rank x outputs",
    "bat": "blocks of rank x rank",
    "mini": "rank x mini_r",
}
ROAD_VARIANTS = {
    "road_1": "one angle and factor for each pair of outputs",
    "road_2": "one for each output",
    "road_4": "two for each output",
}
LORA_FROZEN = {
    "a": "A is frozen, as by peft's LoRA-FA optimizer",
    "b": "B is frozen, as by MiCA",
}
PSOFT_SOLVERS = {
    "full": "all singular vectors of a weight",
    "lowrank": "only the first ones, by a random projection",
}
GLORA_PATHS = {
    "lora": "two matrices of the rank",
    "vector": "one number for each output, or input",
    "constant": "one number",
    "none": "frozen zeros",
}
PSOFT_FACTORS = {
    "psoft_init": "the singular values are in the factor over the outputs",
    "pissa_init": "their roots are in both factors",
}

WEIGHTS = {
    "fp32": "4 bytes a parameter",
    "bf16": "2 bytes a parameter",
    "fp16": "2 bytes a parameter",
    "fp8": "1 byte a parameter and block scales",
    "int8": "bitsandbytes LLM.int8(): linear layers in 8 bit",
    "nf4": "bitsandbytes NormalFloat4: linear layers in 4 bit",
    "fp4": "bitsandbytes FP4: linear layers in 4 bit",
    "mxfp4": "microscaling FP4: experts in 4.25 bit",
    "gptq-int4": "GPTQ with 4-bit integers and group scales",
    "gptq-int8": "GPTQ with 8-bit integers and group scales",
    "awq-int4": "AWQ with 4-bit integers and group scales",
}

FLOATS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
STATES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "int8": "8 bit in blocks"}
MASTERS = {
    "fp32": "a float32 copy",
    "bf16": "a bfloat16 copy, which DeepSpeed keeps with bf16_master_weights_and_grads",
}

FOUR_BIT = frozenset({"nf4", "fp4", "mxfp4", "gptq-int4", "awq-int4"})
QUANTIZED = FOUR_BIT | {"int8", "fp8", "gptq-int8"}
DOUBLE_QUANTIZED = frozenset({"nf4", "fp4"})
GROUPED = frozenset({"gptq-int4", "gptq-int8", "awq-int4"})
FLOAT_ELEMENTS = DOUBLE_QUANTIZED | {"gptq-int4"}
"""4-bit weights that FSDP shards as elements of the compute dtype: bitsandbytes' bnb_4bit_quant_storage, and views of
GPTQ's int32 (fms-acceleration, plugins/accelerated-peft, autogptq_utils.py)."""
BITSANDBYTES = DOUBLE_QUANTIZED | {"int8"}
PACKED_IN = {
    "uint8": "bytes, which fully_shard keeps whole on every GPU and ZeRO 3 shards",
    **{name: f"elements of {dtype}, which are sharded" for name, dtype in FLOATS.items()},
}
"""bitsandbytes' bnb_4bit_quant_storage."""

OPTIMIZERS = {
    "adamw": "torch.optim.AdamW: two states a parameter",
    "adamw_8bit": "bitsandbytes AdamW with states in 8 bit",
    "paged_adamw": "bitsandbytes AdamW with states in managed memory",
    "paged_adamw_8bit": "bitsandbytes AdamW with 8-bit states in managed memory",
    "adafactor": "factored second moments",
    "lion": "bitsandbytes Lion: one state a parameter",
    "lion_8bit": "bitsandbytes Lion with its state in 8 bit",
    "paged_lion": "bitsandbytes Lion with its state in managed memory",
    "paged_lion_8bit": "bitsandbytes Lion with an 8-bit state in managed memory",
    "ademamix": "bitsandbytes AdEMAMix: three states a parameter",
    "ademamix_8bit": "bitsandbytes AdEMAMix with states in 8 bit",
    "paged_ademamix": "bitsandbytes AdEMAMix with states in managed memory",
    "paged_ademamix_8bit": "bitsandbytes AdEMAMix with 8-bit states in managed memory",
    "sgd": "no state without momentum",
    "sgd_momentum": "torch.optim.SGD with momentum: one state a parameter",
    "rmsprop": "torch.optim.RMSprop without momentum: one state a parameter",
    "rmsprop_bnb": "bitsandbytes RMSprop: one state a parameter",
    "rmsprop_bnb_8bit": "bitsandbytes RMSprop with its state in 8 bit",
    "adagrad": "torch.optim.Adagrad: one state a parameter",
    "muon": "torch.optim.Muon for matrices, with one state; AdamW for embeddings, output layer and the rest",
    "adamw_torchao_8bit": "torchao's AdamW with states in 8 bit",
    "adamw_torchao_4bit": "torchao's AdamW with states in 4 bit",
    "schedule_free_adamw": "schedulefree's AdamW: two states a parameter",
    "schedule_free_radam": "schedulefree's RAdam: two states a parameter",
    "schedule_free_sgd": "schedulefree's SGD: one state a parameter",
    "stable_adamw": "torch-optimi's StableAdamW: two states a parameter, three for 16-bit ones",
    "lion_pytorch": "lion-pytorch's Lion: one state a parameter",
    "galore_adamw": "galore_torch's AdamW: two states of each gradient's low-rank projection",
    "galore_adamw_8bit": "galore_torch's AdamW with its states in 8 bit",
    "galore_adafactor": "galore_torch's Adafactor: factored second moments of the projection",
    "apollo_adamw": "apollo_torch's AdamW: two states of each gradient's random projection",
    "adamw_torchao_fp8": "torchao's AdamW with states in 8-bit floats",
    "adopt": "axolotl's ADOPT: two states a parameter",
    "came": "came_pytorch's CAME: a float32 average, and factored moments",
    "adam_mini": "adam_mini's Adam-mini: one state a parameter, and one number a row",
    "grokadamw": "grokadamw's GrokAdamW: three states a parameter in main memory",
    "lomo": "lomo_optim's LOMO: no state, and steps within backward",
    "adalomo": "lomo_optim's AdaLomo: factored second moments, and steps within backward",
    "lora_fa": "peft's LoRA-FA: AdamW on the adapters' B, with A frozen",
    "none": "no optimizer",
}
TORCH_OPTIMIZERS = frozenset({"adamw", "sgd", "sgd_momentum", "rmsprop", "adagrad", "muon"})
ESTIMATED_ALONE = frozenset({
    "adamw_torchao_8bit", "adamw_torchao_4bit", "schedule_free_adamw", "schedule_free_radam", "schedule_free_sgd",
    "stable_adamw", "lion_pytorch", "apollo_adamw", "adamw_torchao_fp8", "adopt", "came", "adam_mini", "grokadamw",
    "lomo", "adalomo", "lora_fa",
})  # fmt: skip
"""Optimizers that are estimated but not traced: their libraries are not part of the trace extra."""
NEVER_FUSED = frozenset({"rmsprop", "adagrad"})
"""Optimizers of torch that have no fused kernel for a GPU (torch/optim/rmsprop.py, adagrad.py)."""
GALORE = frozenset({"galore_adamw", "galore_adamw_8bit", "galore_adafactor"})
"""GaLore's optimizers on projected gradients."""
PROJECTED = GALORE | {"apollo_adamw"}
"""Optimizers on projected gradients, to which the group `galore` applies."""
LORA_FA = "lora_fa"
"""The optimizer that freezes the adapters' A."""
LOMO = frozenset({"lomo", "adalomo"})
"""Optimizers that always step within backward."""
OPTIMIZERS_32BIT = frozenset({
    "paged_adamw", "lion", "paged_lion", "ademamix", "paged_ademamix", "rmsprop_bnb", "galore_adafactor", "came",
    "adalomo",
})  # fmt: skip
"""Optimizers whose states are float32 beside parameters of any dtype."""
OPTIMIZERS_8BIT = frozenset({
    "adamw_8bit", "paged_adamw_8bit", "lion_8bit", "paged_lion_8bit", "ademamix_8bit", "paged_ademamix_8bit",
    "rmsprop_bnb_8bit", "galore_adamw_8bit",
})  # fmt: skip
IMPLEMENTATIONS = {
    "fused": "one kernel over all parameters",
    "foreach": "torch's operations on lists of tensors, with a temporary copy as large as the parameters",
    "for-loop": "one parameter after the other",
}

HEADS = {
    "causal-lm": "a language model's output layer",
    "sequence-classification": "a classifier; `sequence-classification(3)` or `labels: 3` for three labels",
    "token-classification": "a classifier of every token; `token-classification(9)` for nine labels",
    "question-answering": "the start and the end of an answer within a text",
    "masked-lm": "an encoder's output layer",
    "base": "no head",
}
CLASSIFIERS = frozenset({"sequence-classification", "token-classification"})
ATTENTION = {
    "sdpa": "torch's scaled_dot_product_attention",
    "flash": "FlashAttention",
    "eager": "separate operations that keep the scores in memory",
}
CHECKPOINTING = {
    "reentrant": "torch's older form",
    "non-reentrant": "torch's newer form",
    "selective": "torch's newer form that keeps every second product and attention's results (torchtitan's op mode)",
}
STRATEGIES = {
    "none": "one GPU",
    "ddp": "a whole copy on each GPU",
    "fsdp": "parameters, gradients and states sharded in flat parameters (FullyShardedDataParallel)",
    "fsdp2": "the same sharded tensor by tensor (fully_shard)",
    "zero1": "DeepSpeed: optimizer states sharded",
    "zero2": "DeepSpeed: optimizer states and gradients sharded",
    "zero3": "DeepSpeed: optimizer states, gradients and parameters sharded",
    "distributed-optimizer": "Megatron-LM: a whole copy on each GPU, optimizer states and float32 weights sharded",
    "tensor": "each layer split over the GPUs",
    "pipeline": "layers spread over the GPUs",
}
SHARDS_WEIGHTS = ("fsdp", "fsdp2", "zero3")
"""Strategies under which a GPU holds a part of each weight."""
DEEPSPEED = ("zero1", "zero2", "zero3")
"""Strategies that DeepSpeed runs."""
DISTRIBUTED_OPTIMIZER, TENSOR = "distributed-optimizer", "tensor"
OFFLOADED = {"optimizer": "states and the optimizer's copy of the weights"}
"""What may be offloaded to main memory, if not everything that can be."""
PREFETCHES = {
    "pre": "before the current layer's backward",
    "post": "after the current layer's backward, before its gradients are reduced",
    "none": "when it is needed",
}
BUCKETS = {
    "deepspeed": "DeepSpeed's own defaults",
    "auto": "the values that transformers derives from the hidden width for `auto`",
}
TRAINERS = {
    "transformers": "transformers.Trainer, or generate()",
    "trl": "TRL's SFTTrainer",
    "unsloth": "Unsloth's model classes under TRL",
    "litgpt": "LitGPT",
    "torchtune": "torchtune's recipes",
    "torchtitan": "torchtitan",
    "megatron": "Megatron-LM: mcore's GPTModel with TransformerEngine's layers, without gradient accumulation fusion",
    "plain": "a loop in plain PyTorch",
    "vllm": "the vLLM engine",
    "autoawq": "AutoAWQ's fused modules (from_quantized with fuse_layers)",
}
ENGINES = ("vllm", "autoawq")
"""Inference engines: they reserve memory for keys and values when they start."""
LOSSES = {
    "cross-entropy": "float32 logits of all tokens",
    "in-place": "float32 logits of all tokens, overwritten by their gradient (Unsloth's cross-entropy)",
    "chunked": "logits of a chunk of tokens at a time",
    "fused": "output layer and loss in one kernel (Liger)",
    "cut": "no logits in memory at all (cut cross-entropy)",
    "from-logits": "computed by a plain loop from all logits in the model's own dtype, 16 bits where it has 16",
    "sum": "the sum of all logits, without labels: a benchmark's loop that keeps each output until the next",
    "named": "the model's own loss, without a cache, in a loop that keeps each output until the next",
}
CACHES = {
    "dynamic": "grown for every token by concatenation",
    "static": "room for all tokens, allocated at the first",
    "quantized": "in few bits, except for the latest tokens",
    "none": "no cache (use_cache=False): each token takes a pass over all tokens before it",
}
CACHE_BACKENDS = {
    "quanto": "optimum-quanto: 2 or 4 bits in groups",
    "hqq": "HQQ: 1, 2, 3, 4 or 8 bits in groups",
    "fp8": "transformers itself: 8-bit floats with one scale",
}
CACHE_BITS: dict[str, tuple[int, ...]] = {"quanto": (2, 4), "hqq": (1, 2, 3, 4, 8)}
CACHE_AXES: dict[str, tuple[int, ...]] = {"quanto": (0, -1), "hqq": (0, 1)}
KV_CACHE_DTYPES = {
    "auto": "the compute dtype",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8": "1 byte a value",
}
METRICS = {
    "allocated": "live tensors, as torch.cuda.max_memory_allocated says",
    "reserved": "what the caching allocator holds",
    "device": "what nvidia-smi shows",
}
GB_READINGS = {"decimal": "1 GB is 10^9 bytes", "binary": "1 GB is 2^30 bytes"}

QUANTITIES = {
    "peak_memory": "the most GPU memory that is needed at once",
    "weights": "memory of the model's weights",
    "gradients": "memory of the gradients",
    "optimizer_states": "memory of the optimizer's states",
    "master_weights": "memory of a float32 copy of 16-bit weights",
    "activations": "memory of the tensors that the forward pass saves for backward",
    "kv_cache": "memory of the keys and values",
    "overhead": "memory beyond weights, gradients, states and activations",
    "adapters": "memory of the adapters with what training them needs",
    "fits": "whether a GPU has enough memory",
    "gpu_memory": "memory of a GPU, as sold or usable",
    "parameters": "number of parameters",
    "trainable_parameters": "number of parameters that are trained",
    "trainable_share": "share of the parameters that is trained",
    "adapted_modules": "modules that have adapters",
    "checkpoint": "the form in which a published checkpoint is stored",
    "arithmetic": "a sum or product that the document prints",
    "change": "a difference or ratio between two figures of the document",
    "steps": "number of training steps",
    "duration": "time that something takes",
    "cost": "money that something takes",
    "disk": "space on disk",
    "host_memory": "main memory",
    "speed_ratio": "how much faster one thing is than another",
    "hyperparameter": "a setting that the document states",
    "software": "a release of a package, and what it supports or requires",
    "quality": "how good a model is",
    "event": "something that happened once, on one machine",
}

ABOUT_SCENARIO = frozenset({
    "peak_memory", "weights", "gradients", "optimizer_states", "activations", "kv_cache", "overhead",
    "master_weights", "adapters", "fits", "parameters", "trainable_parameters", "trainable_share",
    "adapted_modules", "checkpoint", "hyperparameter",
})  # fmt: skip
"""Quantities that cannot be judged without a scenario."""

PACKAGES = (
    "torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "unsloth", "vllm", "litgpt", "autoawq",
    "torchtune", "torchtitan", "deepspeed", "flash-attn", "liger-kernel", "xformers", "triton", "torchao", "cuda",
    "python",
)  # fmt: skip
"""Software whose version a scenario may state, under `stack`."""

OTHER_SPELLINGS = {
    "float32": "fp32", "fp-32": "fp32", "32bit": "fp32", "bfloat16": "bf16", "float16": "fp16",
    "half": "fp16", "16bit": "bf16", "8bit": "int8", "4bit": "nf4", "int4": "nf4", "4-bit": "nf4",
    "8-bit": "int8", "16-bit": "bf16", "adam": "adamw", "adamw_torch": "adamw",
    "adamw_torch_fused": "adamw", "adamw_bnb_8bit": "adamw_8bit", "paged_adamw_32bit": "paged_adamw",
    "flash_attention_2": "flash", "sfttrainer": "trl", "trainer": "transformers", "hf": "transformers",
    "nll": "cross-entropy", "liger": "fused", "cce": "cut", "finetune": "full", "full-finetuning": "full",
    "generate": "inference", "classification": "sequence-classification", "peak": "peak_memory",
    "vram": "peak_memory", "memory": "peak_memory", "optimizer": "optimizer_states", "kv": "kv_cache",
    "time": "duration", "sum": "arithmetic",
}  # fmt: skip
"""Other spellings of the names here, used only to suggest a name in a message."""
