"""The rows of an engine that claims a share of the card: what vLLM holds beside the weights."""

from __future__ import annotations

from toolkit.memory.formula.engine import engine_pool, one_sequence, rotary_table, vocabulary_padding
from toolkit.memory.ledger import Category
from toolkit.memory.row_rule import FORM, LOAD, SERVE, RowRule

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
        "kv_cache_of_one_sequence",
        Category.KV_CACHE,
        (SERVE,),
        "layers x max_model_len in blocks of 16 x key-value heads x (key width + value width) x bytes",
        "vllm v1/core/kv_cache_utils.py, check_enough_kv_cache_memory",
        one_sequence,
        (*FORM, "compute", "engine", "gpu"),
        "What vLLM has to be able to hold, or it does not start: keys and values of one sequence of full length. Where "
        "nobody says how long that is, and all positions of the model do not fit, it is not in the ledger.",
    ),
    RowRule(
        "engine_pool",
        Category.ENGINE_POOL,
        (SERVE,),
        "gpu_memory_utilization x memory of the card - all other rows",
        "vllm v1/worker/gpu_worker.py, determine_available_memory",
        engine_pool,
        (*FORM, "compute", "engine", "gpu"),
        "The rest of vLLM's share of the card: what its profile run takes at its fullest, what CUDA takes outside of "
        "torch, and further blocks of keys and values from all that then remains.",
    ),
)
"""What vLLM claims when it starts."""
