"""What transformers moved or renamed between its releases, under one name each.

Written for 5.x; what an older release calls otherwise stands here beside it, and nowhere else in the tracer:

    5.0     no_init_weights left modeling_utils for initialization
    5.0     from_pretrained loads tensors in the order of their names; before, file by file
    5.0     trainers switch the cache off; before, a config's use_cache stays, and some code goes by it alone
    4.57    _get_dtype_plan; before, _keep_in_fp32_modules, which holds for float16 alone
    4.56    a cache has layers; before, key_cache and value_cache, or tuples where a model is given no cache
    4.54    _supports_flash_attn; before, _supports_flash_attn_2
    4.53    masking_utils, by which any attention may be registered; before, only those known by name (old_kernels.py)
    4.50    from_pretrained asks for a block of the model's whole size before it loads to a GPU by a device map
    4.49    logits_to_keep; since 4.45 num_logits_to_keep; before, generate() works out all logits of a prompt
    4.47    generate() works out the next token from the last logits; since 4.45 from a clone of all that a pass gave
    4.49    HfQuantizer.get_modules_to_not_convert; before, get_keys_to_not_convert
    4.44    get_text_config
    4.42    generate() hands a cache to the model, and lets go of each result; before, each call gives new tuples
    4.36    attn_implementation
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

from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.spec.fields.process import DEVICE_MAP

TRANSFORMERS = "transformers"
ATTENTION_NAMED = Version("4.36")
BEFORE_NAMES = {"eager": False, "flash_attention_2": True}
"""The attentions that there were before they had names, with how a config says so (_flash_attn_2_enabled)."""
CACHES_MADE = Version("4.42")
MODELS_CACHE = Version("5")
LOADS_BY_NAME = Version("5")
"""From 4.42 to 5, a model without a cache gives tuples, which generate() never sees."""
LOGITS_TO_KEEP = ("logits_to_keep", "num_logits_to_keep")
"""By what a model is told that only the last logits are wanted, newest name first."""


CLONES_FROM, CLONES_UNTIL = Version("4.45"), Version("4.47")


def clones_logits() -> bool:
    """Whether generate() clones all logits that a pass gave (generation/utils.py, _sample)."""
    return CLONES_FROM <= installed(TRANSFORMERS) < CLONES_UNTIL


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


def unties(model: Any, published: Mapping[str, Any]) -> None:
    """Gives a model the head of its own that its published config says it has, whatever its class made of that.

    transformers 5 ties every T5's (configuration_t5.py), but from_pretrained ties no two weights of a checkpoint that
    differ (modeling_utils.py, tie_weights).
    """
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if published.get("tie_word_embeddings") is not False or head is None or head.weight is not embedding.weight:
        return
    head.weight = nn.Parameter(torch.empty_like(embedding.weight))
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter is head.weight:
            getattr(model, "all_tied_weights_keys", {}).pop(name, None)


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


def built(auto: Any, config: Any, attention: str | None) -> Any:
    """A new model of an Auto class, with the attention of that name; without a name, what transformers takes then."""
    if installed(TRANSFORMERS) >= ATTENTION_NAMED:
        return auto.from_config(config, attn_implementation=attention)
    if attention not in BEFORE_NAMES:
        raise UnsupportedTrace(f"transformers before {ATTENTION_NAMED} has no {attention or 'sdpa'} attention")
    config._flash_attn_2_enabled = BEFORE_NAMES[attention]
    return auto.from_config(config)


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


def loads_warm(loading: str | None = None) -> tuple[bool, ...]:
    """Whether a model may be loaded after a block of its whole size was asked for (caching_allocator_warmup).

    Where transformers knows how, it does so if it is given a device map, and does not otherwise; `loading` as of a
    setting.
    """
    known = hasattr(import_module("transformers.modeling_utils"), "caching_allocator_warmup")
    return (False, True) if known and loading in (None, DEVICE_MAP) else (False,)


def loads_by_name() -> bool:
    """Whether from_pretrained loads tensors in the order of their names (core_model_loading.py, dot_natural_key)."""
    return installed(TRANSFORMERS) >= LOADS_BY_NAME


def holds_results() -> bool:
    """Whether generate() keeps a result, logits and all, until it has the next (generation/utils.py, del outputs)."""
    return installed(TRANSFORMERS) < CACHES_MADE


def first_cache(model: Any) -> dict[str, Any]:
    """The empty cache that generate() hands to a model that takes one; elsewhere the model makes its own."""
    if not CACHES_MADE <= installed(TRANSFORMERS) < MODELS_CACHE or not getattr(model, "_supports_cache_class", False):
        return {}
    return {"past_key_values": import_module("transformers.cache_utils").DynamicCache()}


def is_double(cache: Any) -> bool:
    """Whether a cache is that of an encoder-decoder: one of its own tokens, and one of the encoder's."""
    return hasattr(cache, "cross_attention_cache")


def has_keys(layer: Any) -> bool:
    """Whether a layer of a cache grows: those of linear attention alone have states of one size."""
    return getattr(layer, "keys", None) is not None


def cache_parts(cache: Any) -> Iterator[torch.Tensor]:
    """Keys and values of every layer."""
    if hasattr(cache, "layers"):
        for layer in cache.layers:
            if has_keys(layer):
                yield layer.keys
                yield layer.values
    elif hasattr(cache, "key_cache"):
        yield from cache.key_cache
        yield from cache.value_cache
    else:
        for layer in cache or ():
            yield from layer


def _nothing_padded(mask: torch.Tensor) -> bool:
    """Whether a mask is true everywhere, as it is where nothing is padded; what that is counted with is made."""
    _ = mask.sum() == mask.numel()
    return True


@contextmanager
def packing_unasked() -> Iterator[None]:
    """Keeps transformers from reading values of position ids and masks, which meta tensors do not have."""
    if not registers_attention():
        yield
        return
    masking: Any = import_module("transformers.masking_utils")
    answers = {"find_packed_sequence_indices": lambda _: None, "fast_all": _nothing_padded}
    asked = {name: getattr(masking, name) for name in answers if hasattr(masking, name)}  # 4.53 has neither
    for name in asked:
        setattr(masking, name, answers[name])
    try:
        yield
    finally:
        for name, function in asked.items():
            setattr(masking, name, function)
