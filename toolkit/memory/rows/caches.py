"""The rows of keys and values that generation keeps, and of what keeping them needs."""

from __future__ import annotations

from toolkit.memory.formula.caches.kv_cache import kv_cache
from toolkit.memory.formula.ends.outputs import warm_cache, warm_logits
from toolkit.memory.ledger import Category
from toolkit.memory.rows.rule import DECODE, FORM, LOAD, PREFILL, VALIDATION, RowRule, pass_row

TEMPORARY = Category.TEMPORARY

_CACHED = (*FORM, "compute", "batch_size", "sequence_length")

KV_CACHE = RowRule(
    "kv_cache",
    Category.KV_CACHE,
    (LOAD, VALIDATION, PREFILL, DECODE),
    "layers x tokens x key-value heads x (key width + value width) x batch x bytes; MLA: latent rank + rope width",
    "transformers cache_utils.py (DynamicCache, StaticCache, QuantizedCache); awq/modules/fused/cache.py",
    kv_cache,
    (*_CACHED, "generated_length", "cache", "uncached", "parallel", "engine", "validation"),
    "Keys and values of every token so far. A layer with a window keeps no more than its window once decoding has "
    "begun. A static cache has room for all tokens from the prompt on; a quantized one keeps bits and scales of all "
    "but the latest tokens. AutoAWQ allocates its cache when it makes its modules.",
)

_WARM = (*_CACHED, "generated_length", "warmup")

WARM_ROWS = (
    RowRule(
        "last_logits",
        Category.LOGITS,
        (PREFILL,),
        "T x V x bytes, float32 where the version made them so",
        "python: what stands right of `out = model(**inputs)` runs before `out` is another; modeling_llama.py",
        warm_logits,
        _WARM,
        "The logits of the previous pass, in a loop that keeps each result until the next.",
    ),
    RowRule(
        "last_cache",
        Category.KV_CACHE,
        (PREFILL,),
        "layers x tokens x key-value heads x (key width + value width) x batch x bytes",
        "transformers modeling_outputs.py, CausalLMOutputWithPast (past_key_values)",
        warm_cache,
        _WARM,
        "The keys and values of the previous pass, which are part of its result.",
    ),
)
"""What a loop keeps of the previous pass."""

CACHE_ROWS = (
    pass_row(
        "kv_cache_growth",
        TEMPORARY,
        "bytes of one layer's old keys; of a layer with a window, keys and values; a second cache where it is tuples",
        "transformers cache_utils.py, DynamicLayer.update; before 4.42 generation/utils.py, model_kwargs; what calls "
        "the model itself: modeling_llama.py, return_legacy_cache",
        "A growing cache concatenates old and new tokens in a new tensor, beside the old one. Caches that are tuples, "
        "as in older versions, are kept whole until the next one is complete. A quantized cache unpacks a layer, "
        "concatenates the new tokens, and packs it again when enough have come; a static layer whose window is full "
        "shifts all its tokens.",
        (PREFILL, DECODE),
    ),
    pass_row(
        "cache_packing",
        TEMPORARY,
        "quanto: tokens x width x (2 x bytes + 1); HQQ: x (4 + 9 x 2); fp8: x 2 x 4; and a copy in one piece",
        "optimum-quanto library/quantize.py; hqq core/optimize.py; transformers cache_utils.py, Fp8QuantizedLayer",
        "What a backend needs while it quantizes the keys or the values of one layer's prompt.",
        (PREFILL,),
    ),
    pass_row(
        "unpacked_cache",
        TEMPORARY,
        "all tokens x key-value heads x (key width + value width) x batch x bytes, of one layer",
        "transformers cache_utils.py, QuantizedLayer.update",
        "Keys and values of a quantized cache in the compute dtype, while one layer attends to them.",
        (DECODE,),
    ),
)
"""What a pass needs to grow, pack and unpack a cache."""
