"""The rows of engines and kernels that reserve memory at start: vLLM's share of the card, ExLlama's buffers."""

from __future__ import annotations

from toolkit.memory.formula.engine.engine import (
    engine_pool,
    least_profiled,
    one_sequence,
    rotary_table,
    vocabulary_padding,
)
from toolkit.memory.formula.linear.exllama import exllama_buffer, exllama_order, exllama_state
from toolkit.memory.ledger import Category
from toolkit.memory.rows.rule import DECODE, FORM, LOAD, PREFILL, SERVE, RowRule

ENGINE_ROWS = (
    RowRule(
        "rotary_table",
        Category.WEIGHTS,
        (LOAD, SERVE),
        "known positions x rotary width x bytes",
        "vllm model_executor/layers/rotary_embedding, cos_sin_cache",
        rotary_table,
        (*FORM, "compute"),
        "vLLM makes the cosines and sines of all positions once, when it loads the model.",
    ),
    RowRule(
        "vocabulary_padding",
        Category.WEIGHTS,
        (LOAD, SERVE),
        "(vocabulary rounded up to 64 - vocabulary) x hidden width x bytes, for embedding and head",
        "vllm model_executor/layers/vocab_parallel_embedding.py",
        vocabulary_padding,
        (*FORM, "compute"),
        "vLLM pads embeddings and heads to whole multiples of 64 rows.",
    ),
    RowRule(
        "profile_run",
        Category.ACTIVATIONS,
        (SERVE,),
        "the most of: a layer for max_num_batched_tokens; sampling for max_num_seqs: logits x (2 + 4 + sort) bytes",
        "vllm worker/model_runner.py and v1/worker/gpu_model_runner.py, profile_run; torch SortStable.cu",
        least_profiled,
        (*FORM, "compute", "engine", "gpu", "parallel"),
        "The least that a pass of as many tokens and sequences as vLLM allows takes on top of the weights: vLLM "
        "measures it when it starts and keeps it free. It is not in the ledger where no formula covers the release.",
    ),
    RowRule(
        "kv_cache_of_one_sequence",
        Category.KV_CACHE,
        (SERVE,),
        "layers x max_model_len in blocks of 16 x key-value heads x (key width + value width) x bytes",
        "vllm v1/core/kv_cache_utils.py, check_enough_kv_cache_memory",
        one_sequence,
        (*FORM, "compute", "engine", "gpu"),
        "Keys and values of one sequence of full length: vLLM does not start unless they fit. It is not in the ledger "
        "where max_model_len is not stated and the model's positions do not fit.",
    ),
    RowRule(
        "engine_pool",
        Category.ENGINE_POOL,
        (SERVE,),
        "gpu_memory_utilization x memory of the card - all other rows",
        "vllm v1/worker/gpu_worker.py, determine_available_memory",
        engine_pool,
        (*FORM, "compute", "engine", "gpu"),
        "The rest of vLLM's share of the card: what CUDA takes outside torch, what the profile run takes beyond the "
        "row of that name, and further blocks of keys and values in all that remains.",
    ),
)
"""What vLLM reserves when it starts."""

GENERATING = (LOAD, PREFILL, DECODE)

EXLLAMA_ROWS = (
    RowRule(
        "exllama_buffer",
        Category.TEMPORARY,
        GENERATING,
        "inputs x outputs of the largest linear x 2; ExLlamaV2: the most of that + outputs x 2,048 x 8 x 4",
        "auto-gptq modeling/_utils.py, autogptq_post_init (temp_dq); nn_modules/qlinear/qlinear_exllamav2.py",
        exllama_buffer,
        (*FORM, "kernels"),
        "ExLlama's kernels for GPTQ keep a buffer for one weight in float16; the second version also one for the "
        "float32 product of eight sequences of 2,048 tokens.",
    ),
    RowRule(
        "exllama_state",
        Category.TEMPORARY,
        GENERATING,
        "2,048 x the widest side of a linear x 2",
        "auto-gptq modeling/_utils.py, autogptq_post_init (temp_state)",
        exllama_state,
        (*FORM, "kernels", "desc_act"),
        "ExLlama's first version keeps a buffer for inputs in the order of their groups, where GPTQ reordered them.",
    ),
    RowRule(
        "exllama_order",
        Category.TEMPORARY,
        GENERATING,
        "sum over linears of several groups of 2 x inputs x 2",
        "auto-gptq nn_modules/qlinear/qlinear_exllamav2.py, ext_make_q_matrix (q_perm, q_invperm)",
        exllama_order,
        (*FORM, "kernels"),
        "ExLlamaV2 keeps the order of each layer's inputs, and its inverse, as 16-bit integers.",
    ),
)
"""What ExLlama's kernels for GPTQ keep."""
