"""The rows of a ledger: one rule for each named cause of memory. Letters: T = batch x sequence, H = hidden width."""

from __future__ import annotations

from toolkit.memory.cache_rows import KV_CACHE
from toolkit.memory.engine_rows import ENGINE_ROWS
from toolkit.memory.formula.inputs import position_embeddings, rotary_caches, token_ids
from toolkit.memory.formula.packed_weights import exllama_buffer, unsplit_blocks
from toolkit.memory.formula.weights import (
    adapter_buffers,
    adapters,
    master_weights,
    rounding,
    upcast_parameters,
    weights,
)
from toolkit.memory.formula.workspaces import cublas_workspace
from toolkit.memory.ledger import Category
from toolkit.memory.optimizer_rows import OPTIMIZER_ROWS, TRAINED
from toolkit.memory.parallel.buckets import gradient_buckets
from toolkit.memory.pass_rows import PASS_ROWS
from toolkit.memory.row_rule import (
    ALWAYS,
    DECODE,
    FORM,
    LOAD,
    PASS,
    PASSES,
    PREFILL,
    RUNNING,
    SERVE,
    TRAINING,
    RowRule,
    at_fullest,
)

UPDATE = ("optimizer", "optimizer_implementation")
"""Fields that decide which moment of ZeRO's step is the fullest: its gradients made float32, or the update."""

HELD_ROWS = (
    RowRule(
        "weights",
        Category.WEIGHTS,
        (*ALWAYS, SERVE),
        "elements of every tensor x bytes of its stored form, tied tensors once",
        "module shapes of transformers 5.23; bitsandbytes functional.py for 4-bit forms",
        weights,
        (*FORM, "double_quant", "compute", "amp", "parallel"),
        "The model as stored: quantized linears with their scales and tables, the rest in 16 or 32 bit.",
    ),
    RowRule(
        "allocator_rounding",
        Category.TEMPORARY,
        (*ALWAYS, SERVE),
        "sum over stored tensors of (size rounded up to 512 - size)",
        "c10/cuda/CUDACachingAllocator.cpp, kMinBlockSize",
        rounding,
        (*FORM, "double_quant", "compute", "amp", "parallel"),
        "torch's allocator counts every tensor in units of 512 bytes.",
    ),
    RowRule(
        "unsplit_blocks",
        Category.TEMPORARY,
        (LOAD, PREFILL, DECODE),
        "for each tensor above 1 MiB what is left of its block, where that is at most 1 MiB",
        "c10/cuda/CUDACachingAllocator.cpp, should_split; transformers modeling_utils.py, caching_allocator_warmup",
        unsplit_blocks,
        (*FORM, "double_quant", "compute", "parallel"),
        "torch counts whole blocks, and splits none off that would be 1 MiB or less. Since 4.50 transformers loads all "
        "weights into one block.",
    ),
    RowRule(
        "exllama_buffer",
        Category.TEMPORARY,
        (LOAD, PREFILL, DECODE),
        "inputs x outputs of the largest linear x 2",
        "auto-gptq modeling/_utils.py, autogptq_post_init (temp_dq)",
        exllama_buffer,
        FORM,
        "Exllama's kernel for GPTQ keeps room for one weight in float16.",
    ),
    RowRule(
        "rotary_caches",
        Category.WEIGHTS,
        ALWAYS,
        "2 x layers x known positions x head width x bytes",
        "modeling_mistral.py, modeling_qwen2.py and modeling_llama.py of transformers 4.39 to 4.45",
        rotary_caches,
        (*FORM, "compute", "sequence_length", "generated_length"),
        "Older versions of transformers kept cosines and sines of all positions in every layer; Qwen 1's own code "
        "has a factor for each, and angles; GPT-BigCode's a mask of all pairs of them. LitGPT, when it generates, has "
        "both, for the prompt and what it is to write.",
    ),
    RowRule(
        "upcast_parameters",
        Category.WEIGHTS,
        TRAINING,
        "2 x elements of 16-bit parameters that become float32",
        "peft utils/other.py, prepare_model_for_kbit_training; trl v0.25 trainer/utils.py, peft_module_casting_to_bf16",
        upcast_parameters,
        (*FORM, "compute", "amp", "parallel"),
        "Preparing a quantized model for training casts norms, embeddings, heads and whatever else is not quantized to "
        "float32. TRL cast embeddings and heads back, and since 0.26 leaves the model as it is.",
    ),
    RowRule(
        "adapters",
        Category.ADAPTERS,
        TRAINING,
        "sum over adapted modules of rank x (inputs + outputs), x bytes; and a trained copy of a classifier",
        "peft tuners/lora/layer.py; autocast_adapter_dtype in tuners_utils.py",
        adapters,
        TRAINED,
        "The LoRA matrices, or what another method of peft adds and trains: float32, or bfloat16 where TRL casts those "
        "of quantized models.",
    ),
    RowRule(
        "adapter_buffers",
        Category.ADAPTERS,
        TRAINING,
        "elements of each buffer x bytes",
        "peft tuners/vera/model.py, randlora/model.py, shira/layer.py, oft/layer.py, boft/layer.py",
        adapter_buffers,
        TRAINED,
        "What a method of peft keeps beside what it trains: the random projections of VeRA and RandLoRA, the indices "
        "of OFT and SHiRA, the permutations of BOFT.",
    ),
    RowRule(
        "master_weights",
        Category.MASTER_WEIGHTS,
        TRAINING,
        "trained elements x bytes of the copy",
        "mixed precision with a float32 copy (Micikevicius et al., arXiv 1710.03740)",
        master_weights,
        (*TRAINED, "master_weights"),
        "A second copy of the trained parameters that the optimizer updates.",
    ),
    RowRule(
        "gradients",
        Category.GRADIENTS,
        TRAINING,
        "trained elements x bytes, for the parameters that backward has reached",
        "torch/csrc/autograd/functions/accumulate_grad.h",
        at_fullest("gradients"),
        (*PASS, *UPDATE),
        "None at the start of backward, all at its end and in the step. With gradient accumulation those of earlier "
        "micro-batches are there throughout.",
    ),
    RowRule(
        "gradient_buckets",
        Category.TEMPORARY,
        TRAINING,
        "DDP: trained elements x bytes",
        "torch/csrc/distributed/c10d/reducer.cpp; torch/nn/parallel/distributed.py, gradient_as_bucket_view",
        gradient_buckets,
        TRAINED,
        "A second copy of all gradients, in buckets that DDP exchanges among GPUs and keeps.",
    ),
    *OPTIMIZER_ROWS,
    KV_CACHE,
    RowRule(
        "token_ids",
        Category.ACTIVATIONS,
        RUNNING,
        "T x 8 bytes x (ids, attention mask, labels); at the loss two more for shifted labels",
        "transformers data/data_collator.py; loss/loss_utils.py",
        token_ids,
        PASS,
        "The batch itself, as 64-bit integers.",
    ),
    RowRule(
        "position_embeddings",
        Category.ACTIVATIONS,
        PASSES,
        "2 x sequence x head width x bytes; to generate from padded rows x batch",
        "transformers modeling_llama.py, LlamaRotaryEmbedding; generation/utils.py",
        position_embeddings,
        PASS,
        "Cosines and sines of the positions of one sequence, shared by the batch and by all layers. Padded rows have "
        "positions of their own when they generate.",
    ),
    RowRule(
        "cublas_workspace",
        Category.WORKSPACE,
        RUNNING,
        "workspace of the GPU x threads that multiply (inference 1, training 2)",
        "aten/src/ATen/cuda/CublasHandlePool.cpp: 8,519,680 bytes; 32 MiB on sm_90",
        cublas_workspace,
        ("method", "gpu"),
        "Scratch memory that torch hands to cuBLAS for each thread and stream, and never takes back.",
    ),
)

STANDING_ROWS = (*HELD_ROWS, *ENGINE_ROWS)
"""The rows that are worked out without following a pass through the model."""

ROWS: tuple[RowRule, ...] = (*STANDING_ROWS, *PASS_ROWS)
"""Every row of a ledger, in the order in which it is shown."""
