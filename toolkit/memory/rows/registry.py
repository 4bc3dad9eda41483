"""The rows of a ledger: one rule for each named cause of memory. Letters: T = batch x sequence, H = hidden width."""

from __future__ import annotations

from toolkit.memory.engines.rows import ENGINE_ROWS, EXLLAMA_ROWS
from toolkit.memory.formula.inputs import position_embeddings, token_ids
from toolkit.memory.formula.linear.packed_weights import fused_copies, unsplit_blocks
from toolkit.memory.formula.linear.weights import (
    adapter_buffers,
    adapters,
    master_weights,
    rounding,
    upcast_parameters,
    weights,
)
from toolkit.memory.formula.position_tables import position_tables_bytes
from toolkit.memory.formula.workspaces import OF_TRANSFORMER_ENGINE, cublas_workspace, transformer_engine_workspace
from toolkit.memory.ledger import Category
from toolkit.memory.parallel.buckets import gradient_buckets
from toolkit.memory.parallel.unshared import unshared_weights
from toolkit.memory.reference import ROW, reference_bytes
from toolkit.memory.rows.caches import KV_CACHE, WARM_ROWS
from toolkit.memory.rows.optimizer import OPTIMIZER_ROWS, TRAINED
from toolkit.memory.rows.passes import PASS_ROWS
from toolkit.memory.rows.rule import (
    ALWAYS,
    FORM,
    LOAD,
    PASS,
    PASSES,
    RUNNING,
    SERVE,
    TRAINING,
    RowRule,
    at_fullest,
)

UPDATE = ("optimizer", "optimizer_implementation")
"""Fields that decide which moment of ZeRO's step is the fullest: the cast of gradients to float32, or the update."""

LOADED_BY = ("loading", "checkpoint_dtype")
"""Fields that decide in which order tensors reach the GPU, and what is there beside them."""

HELD_ROWS = (
    RowRule(
        "weights",
        Category.WEIGHTS,
        (*ALWAYS, SERVE),
        "elements of every tensor x bytes of its stored form, tied tensors once",
        "module shapes of transformers 5.23; bitsandbytes functional.py for 4-bit forms",
        weights,
        (*FORM, "double_quant", "compute", "amp", "upcast", "kernels", "parallel"),
        "The model as stored: quantized linears with their scales and tables, the rest in 16 or 32 bit.",
    ),
    RowRule(
        ROW,
        Category.WEIGHTS,
        (LOAD, *TRAINING),
        "elements of every tensor x bytes of its stored form, tied tensors once, in units of 512",
        "trl/trainer/dpo_trainer.py, ref_model (create_model_from_path); arXiv 2305.18290",
        reference_bytes,
        (*FORM, "double_quant", "compute", "amp", "kernels", "parallel", "objective", "reference"),
        "The second model of a preference loss, which is not trained. Adapters need none: switched off, they leave the "
        "base model. A run whose reference log-probabilities were precomputed needs none either.",
    ),
    RowRule(
        "allocator_rounding",
        Category.TEMPORARY,
        (*ALWAYS, SERVE),
        "sum over stored tensors of (size rounded up to 512 - size)",
        "c10/cuda/CUDACachingAllocator.cpp, kMinBlockSize",
        rounding,
        (*FORM, "double_quant", "compute", "amp", "upcast", "kernels", "parallel"),
        "torch's allocator counts every tensor in units of 512 bytes.",
    ),
    RowRule(
        "unsplit_blocks",
        Category.TEMPORARY,
        (*ALWAYS, SERVE),
        "for each tensor above 1 MiB what is left of its block, where that is at most 1 MiB",
        "c10/cuda/CUDACachingAllocator.cpp, should_split; transformers modeling_utils.py, caching_allocator_warmup; "
        "trainer.py, _move_model_to_device",
        unsplit_blocks,
        (*FORM, "double_quant", "compute", "kernels", "batch_size", "engine", "parallel", *LOADED_BY),
        "torch counts whole blocks, and does not split off a rest of 1 MiB or less. Since 4.50 transformers loads all "
        "weights into one block if it has a device map; a Trainer moves a loaded model tensor by tensor; vLLM stores "
        "q, k and v as one tensor, and gate and up. A model may be made beside the tensors of its file.",
    ),
    RowRule(
        "fused_copies",
        Category.TEMPORARY,
        (LOAD,),
        "sum over layers of the bytes of q, k and v; for the last the more of its zeros and 2 x keys x bytes",
        "autoawq awq/utils/fused_utils.py, fuse_qkv; awq/modules/fused/cache.py, WindowedCache",
        fused_copies,
        (*FORM, "kernels", "batch_size", "engine"),
        "AutoAWQ concatenates the weights of q, k and v in every layer while the old ones are still there, and "
        "allocates its cache in float32 first.",
    ),
    RowRule(
        "unshared_weights",
        Category.TEMPORARY,
        (LOAD,),
        "all weights - a GPU's part + FSDP: a unit joined in one and its part, less what went before; ZeRO 3: a part; "
        "fully_shard by accelerate: all that is shared out, and a GPU's part of adapters; in a loop the first unit's",
        "torch/distributed/fsdp/_flat_param.py, _init_utils.py; deepspeed runtime/zero/partition_parameters.py; "
        "accelerate utils/fsdp_utils.py, fsdp2_prepare_model",
        unshared_weights,
        (*FORM, "double_quant", "compute", "amp", "upcast", "lora", "parallel"),
        "Where every GPU has all weights before they are sharded, it holds all of them while the first are split.",
    ),
    *EXLLAMA_ROWS,
    RowRule(
        "rotary_caches",
        Category.WEIGHTS,
        ALWAYS,
        "layers x (2 x known positions x turned width x bytes + known positions^2); in 4.38 known positions^2 x 8 once",
        "modeling_mistral.py, modeling_qwen2.py, modeling_llama.py, modeling_gpt2.py and modeling_gpt_neox.py of older "
        "transformers (4.38 to 5.1)",
        position_tables_bytes,
        (*FORM, "compute", "sequence_length", "generated_length", "engine", "parallel"),
        "Older versions of transformers kept cosines and sines of all positions in every layer, and in GPT-2 and "
        "GPT-NeoX a mask of all pairs of positions; Qwen 1's own code has a factor for each position, and angles; "
        "GPT-BigCode has one mask. LitGPT keeps angles and a mask for prompt and answer when it generates.",
    ),
    RowRule(
        "upcast_parameters",
        Category.WEIGHTS,
        TRAINING,
        "2 x elements of 16-bit parameters that become float32",
        "peft utils/other.py, prepare_model_for_kbit_training; trl v0.25 trainer/utils.py, peft_module_casting_to_bf16",
        upcast_parameters,
        (*FORM, "compute", "amp", "upcast", "parallel"),
        "Preparing a quantized model for training casts norms, embeddings, heads and whatever else is not quantized to "
        "float32. TRL cast embeddings and heads back, and since 0.26 leaves the model as it is.",
    ),
    RowRule(
        "adapters",
        Category.ADAPTERS,
        ALWAYS,
        "sum over adapted modules of rank x (inputs + outputs), x bytes; and elements x bytes of copied modules",
        "peft tuners/lora/layer.py; autocast_adapter_dtype in tuners_utils.py; ModulesToSaveWrapper in utils/other.py",
        adapters,
        TRAINED,
        "The LoRA matrices, or what another method of peft adds and trains: float32, or bfloat16 where TRL casts those "
        "of quantized models. Copies of whole modules that are trained (modules_to_save, a classifier) are counted as "
        "well, in the dtype of the modules, which stay beside them. A model that answers with adapters which are not "
        "merged into its weights has them from loading on.",
    ),
    RowRule(
        "adapter_buffers",
        Category.ADAPTERS,
        TRAINING,
        "elements of each buffer x bytes",
        "peft tuners/vera/model.py, randlora/model.py, shira/layer.py, oft/layer.py, boft/layer.py",
        adapter_buffers,
        TRAINED,
        "The untrained tensors of a peft method: the random projections of VeRA and RandLoRA, the indices of OFT and "
        "SHiRA, the permutations of BOFT.",
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
        "None at the start of backward, all at its end and during the step. With gradient accumulation, those of "
        "earlier micro-batches are there throughout.",
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
    *WARM_ROWS,
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
        "positions of their own when they generate, and packed rows always.",
    ),
    RowRule(
        "cublas_workspace",
        Category.WORKSPACE,
        ALWAYS,
        "workspace of the GPU x threads that multiply, or did before (inference 1, training 2)",
        "aten/src/ATen/cuda/CublasHandlePool.cpp: 8,519,680 bytes; 32 MiB on sm_90",
        cublas_workspace,
        ("method", "gpu", "earlier_passes"),
        "Scratch memory that torch gives cuBLAS for each thread and stream, and never frees.",
    ),
    RowRule(
        OF_TRANSFORMER_ENGINE,
        Category.WORKSPACE,
        TRAINING,
        "32 MiB + 1,024 bytes from sm_90 on, 4 MiB before",
        "transformer_engine/pytorch/cpp_extensions/gemm.py, get_cublas_workspace_size_bytes",
        transformer_engine_workspace,
        ("stack", "gpu"),
        "Scratch memory that TransformerEngine, whose layers Megatron-LM has, takes for its own matrix products.",
    ),
)

STANDING_ROWS = (*HELD_ROWS, *ENGINE_ROWS)
"""The rows that are computed without following a pass through the model."""

ROWS: tuple[RowRule, ...] = (*STANDING_ROWS, *PASS_ROWS)
"""Every row of a ledger, in the order in which it is shown."""
