"""What transformers moved or renamed between its releases, under one name each.

Written for 5.x; what an older release calls otherwise stands here beside it, and nowhere else in the tracer:

    5.0     no_init_weights left modeling_utils for initialization
    5.0     trainers switch the cache off; before, a config's use_cache stays, and some code goes by it alone
    4.57    _get_dtype_plan; before, _keep_in_fp32_modules, which holds for float16 alone
    4.56    a cache has layers; before, key_cache and value_cache, or tuples where a model is given no cache
    4.54    _supports_flash_attn; before, _supports_flash_attn_2
    4.53    masking_utils, by which any attention may be registered; before, only those known by name (old_kernels.py)
    4.49    logits_to_keep; since 4.45 num_logits_to_keep; before, generate() works out all logits of a prompt
    4.49    HfQuantizer.get_modules_to_not_convert; before, get_keys_to_not_convert
    4.44    get_text_config
    4.42    generate() hands a cache to the model, and lets go of each result; before, each call gives new tuples
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from packaging.version import Version
from torch import nn

TRANSFORMERS = "transformers"
CACHES_MADE = Version("4.42")
MODELS_CACHE = Version("5")
"""From 4.42 to 5, a model without a cache gives tuples, which generate() never sees."""
LOGITS_TO_KEEP = ("logits_to_keep", "num_logits_to_keep")
"""By what a model is told that only the last logits are wanted, newest name first."""


def installed(package: str) -> Version:
    """The release of a package that runs."""
    return Version(version(package))


def no_init_weights() -> AbstractContextManager[None]:
    """Leaves new weights as memory happened to be."""
    new = find_spec("transformers.initialization") is not None
    module = import_module("transformers.initialization" if new else "transformers.modeling_utils")
    found: AbstractContextManager[None] = module.no_init_weights()
    return found


def stops_caching() -> bool:
    """Whether a trainer sees to it that no keys and values are kept (training_args.py, use_cache)."""
    return installed(TRANSFORMERS) >= MODELS_CACHE


def dtype_plan(model: Any, stored: torch.dtype) -> Mapping[str, torch.dtype]:
    """Patterns of parameters' names that from_pretrained keeps in another dtype than the stored one."""
    if hasattr(model, "_get_dtype_plan"):
        plan: Mapping[str, torch.dtype] = model._get_dtype_plan(stored)
        return plan
    kept = model._keep_in_fp32_modules or ()
    return {rf"(^|\.){name}($|\.)": torch.float32 for name in kept} if stored == torch.float16 else {}


def not_quantized(model: Any) -> list[str]:
    """The modules that transformers leaves in 16 bit when it puts layers of bitsandbytes."""
    quantizer: Any = import_module("transformers.quantizers.base").HfQuantizer
    kept = model._keep_in_fp32_modules
    if hasattr(quantizer, "get_modules_to_not_convert"):
        return list(quantizer.get_modules_to_not_convert(model, None, kept))
    return [*import_module("transformers.integrations").get_keys_to_not_convert(model), *(kept or ())]


def supports_flash(model: Any) -> bool:
    """Whether a class of models attends by FlashAttention."""
    return bool(getattr(model, "_supports_flash_attn", getattr(model, "_supports_flash_attn_2", False)))


def registers_attention() -> bool:
    """Whether any function may be registered as an attention, with its mask."""
    return find_spec("transformers.masking_utils") is not None


def text_config(config: Any) -> Any:
    """The config of the language model in a config."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def last_logits_alone(model: nn.Module) -> dict[str, int]:
    """What generate() passes so that only the last logits of a prompt are worked out; nothing where it cannot."""
    known = inspect.signature(model.forward).parameters
    return next(({name: 1} for name in LOGITS_TO_KEEP if name in known), {})


def holds_results() -> bool:
    """Whether generate() keeps a result, logits and all, until it has the next (generation/utils.py, del outputs)."""
    return installed(TRANSFORMERS) < CACHES_MADE


def first_cache(model: Any) -> dict[str, Any]:
    """The empty cache that generate() hands to a model that takes one; elsewhere the model makes its own."""
    if not CACHES_MADE <= installed(TRANSFORMERS) < MODELS_CACHE or not getattr(model, "_supports_cache_class", False):
        return {}
    return {"past_key_values": import_module("transformers.cache_utils").DynamicCache()}


def cache_parts(cache: Any) -> Iterator[torch.Tensor]:
    """Keys and values of every layer."""
    if hasattr(cache, "layers"):
        for layer in cache.layers:
            yield layer.keys
            yield layer.values
    elif hasattr(cache, "key_cache"):
        yield from cache.key_cache
        yield from cache.value_cache
    else:
        for layer in cache or ():
            yield from layer


@contextmanager
def packing_unasked() -> Iterator[None]:
    """Keeps transformers from reading values of position ids, which meta tensors do not have."""
    if not registers_attention():
        yield
        return
    masking: Any = import_module("transformers.masking_utils")
    asked = getattr(masking, "find_packed_sequence_indices", None)
    if asked is None:  # 4.53 looks at masks alone
        yield
        return
    masking.find_packed_sequence_indices = lambda _: None
    try:
        yield
    finally:
        masking.find_packed_sequence_indices = asked
