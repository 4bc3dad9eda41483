"""From a published config of peft to the fields of a scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft
from toolkit.accuracy.convert.remarks import NO_AUTOCAST
from toolkit.spec.fields import names
from toolkit.spec.fields.peft_methods import PEFT_METHODS

RENAMED: Mapping[str, str] = {"bone": "miss"}
"""Methods that peft renamed: MiSS was Bone until 0.17."""

_FIELDS: Mapping[str, str] = {
    "boft_block_size": "block_size",
    "config_A_B": "config_a_b",
    "config_C": "config_c",
    "config_D_E": "config_d_e",
    "init_weights": "form",
    "lora_dropout": "dropout",
    "num_B": "num_b",
    "oft_block_size": "block_size",
    "stride_A": "stride_a",
    "token_indices": "num_tokens",
}
"""What peft calls a field of a method, where a scenario calls it otherwise."""

_ELSEWHERE = frozenset({
    "peft_type", "peft_version", "target_modules", "token_dim", "num_attention_heads", "num_layers",
    "num_transformer_submodules", "megatron_core", "r", "init_r", "qalora_group_size",
})  # fmt: skip
"""Values that are read for themselves, those that peft writes down of the model, and one of QALoRA, which is off."""

_SCALES = frozenset({
    "alpha", "beta1", "beta2", "d_initial", "delora_lambda", "deltaT", "eps", "init_logits_std",
    "init_vector_bank_bound", "init_weights", "init_ia3_weights", "init_lora_weights", "lora_alpha",
    "num_cayley_neumann_terms", "orth_reg_weight", "projection_prng_key", "prompt_tuning_init", "random_loc_seed",
    "cayley_neumann_eps", "init_v_bound", "projection_seed", "psoft_alpha", "psoft_svd_lowrank_niter",
    "random_seed", "randlora_alpha", "save_projection", "scaling", "target_r", "tfinal", "tinit",
    "topk", "total_step", "use_cayley_neumann", "use_idwt", "wavelet_family", "act_fn", "group_size", "mask_type",
    "boft_n_butterfly_factor", "encoder_reparameterization_type", "encoder_num_layers", "prefix_projection",
    "encoder_hidden_size", "asa_importance_beta", "asa_schedule_exponent", "asa_target_subspaces",
    "asa_uncertainty_beta", "final_warmup", "init_warmup", "mask_interval", "svd_threshold", "use_dynamic_rank",
    "decomposition_method", "init_scale", "init_theta_d_bound", "proj_seed", "save_indices",
})  # fmt: skip
"""Values that change no tensor's size: scales, seeds, schedules."""

_RESULTS: Mapping[str, frozenset[str]] = {"adalora": frozenset({"rank_pattern"})}
"""What a method writes into its config at the end: AdaLoRA's final ranks."""

_FIXED: Mapping[str, object] = {
    "boft_n_butterfly_factor": 1,
    "encoder_reparameterization_type": "MLP",
    "mask_type": "random",
}
"""Values that would change sizes, were they others than these."""


_PLAIN_LORA = frozenset({
    "peft_type", "peft_version", "r", "target_modules", "lora_alpha", "init_lora_weights", "use_rslora",
    "megatron_core", "qalora_group_size", "lora_dropout",
})  # fmt: skip
"""Settings of a LoraConfig that leave memory as it is or are read for themselves: names, scales, parts that are off."""

_BLOCKS: Mapping[str, str] = {
    "nblocks": "lora.blocks", "target_modules_bd_a": "lora.blocked_a", "target_modules_bd_b": "lora.blocked_b",
}  # fmt: skip
"""What peft's BdLoraConfig says; whether every module must be named by one changes nothing where all are."""

_LORA_FLAGS: Mapping[str, str] = {"use_dora": "lora.dora", "lora_bias": "lora.bias"}

_RANDOM_WEIGHTS = (True, False, None, "gaussian", "orthogonal")


def lora_options(draft: Draft, config: Mapping[str, Any]) -> None:
    """Says what a LoraConfig says beside rank, scale and targets; what no field can say stays beyond."""
    dropout = config.get("lora_dropout") or 0
    draft.say("lora.dropout", float(dropout) if isinstance(dropout, int | float) else None)
    for name, value in sorted(config.items()):
        if name in _LORA_FLAGS and value is True:
            draft.say(_LORA_FLAGS[name], value)
        elif name == "use_bdlora" and _says_blocks(value):
            for inner, field in _BLOCKS.items():
                draft.say(field, value.get(inner) or None)
        elif value and name not in _PLAIN_LORA and value != "none":
            draft.beyond[f"lora.{name}"[:MAX_REMARK]] = str(value)[:MAX_REMARK]
    if config.get("init_lora_weights") == "mica":
        draft.say("lora.frozen", "b")
    elif config.get("init_lora_weights") not in _RANDOM_WEIGHTS:
        draft.beyond["lora.init_lora_weights"] = str(config.get("init_lora_weights"))[:MAX_REMARK]


def _says_blocks(value: Any) -> bool:
    """Whether a value is BD-LoRA's settings with nothing in them that no field can say."""
    known = {*_BLOCKS, "match_strict"}
    return isinstance(value, Mapping) and all(name in known for name, said in value.items() if said)


def lora_fa(draft: Draft) -> None:
    """Says peft's LoRA-FA optimizer, where a record names it with its settings, which change no size."""
    if draft.beyond.get("optimizer", "").startswith(("lora-fa", "lora_fa")):
        del draft.beyond["optimizer"]
        draft.say("optimizer", "lora_fa")


def peft_method(draft: Draft, method: str, config: Mapping[str, Any]) -> None:
    """Says a method of peft with the fields that its config says; what no field can say stays beyond."""
    name = RENAMED.get(method, method)
    known = PEFT_METHODS.get(name)
    if known is None:
        return
    draft.beyond = {key: text for key, text in draft.beyond.items() if key != "method" and not key.startswith("lora.")}
    draft.say("method", name)
    if known.on in ("linears", "norms"):
        targets = config.get("target_modules")
        draft.say("peft.targets", sorted(map(str, targets)) if isinstance(targets, list) else targets)
    if known.rank is not None:
        draft.say("peft.rank", config.get("init_r") or config.get("r"))
    for key, value in sorted(config.items()):
        field = _FIELDS.get(key, key)
        if key in _FIXED and value != _FIXED[key]:
            draft.beyond[f"peft.{key}"[:MAX_REMARK]] = str(value)[:MAX_REMARK]
        elif field in known.options:
            _say(draft, field, value)
        elif value and key not in (*_ELSEWHERE, *_SCALES, *_RESULTS.get(name, ())) and value != "none":
            draft.beyond[f"peft.{key}"[:MAX_REMARK]] = str(value)[:MAX_REMARK]

    if name == "oft" and config.get("r") and "oft_block_size" not in config:
        draft.say("peft.block_size", 0)  # peft takes one of the two; what is 0 is not written down


def _say(draft: Draft, field: str, value: Any) -> None:
    if field == "rank_pattern" and isinstance(value, Mapping):
        draft.say("peft.rank_pattern", [f"{name}={rank}" for name, rank in value.items()] or None)
    elif field == "num_tokens":
        draft.say("peft.num_tokens", len(value) if isinstance(value, list) else value)
    elif field == "form":
        draft.say("peft.form", value if isinstance(value, str) else "default")
    elif isinstance(value, list):
        draft.say(f"peft.{field}", sorted(value, key=str))
    else:
        draft.say(f"peft.{field}", value)


_PREPARED = re.compile(
    r"(?<!no )(?<!not )(?<!without )\bprepare_model_for_(?:kbit|int8)_training\b"
    r"(?! (?:is |was )?(?:not|never|unused|skipped)\b)"
)


def say_prepared(draft: Draft, text: str) -> None:
    """Whoever calls prepare_model_for_kbit_training has all that is not quantized cast to float32, head included.

    peft asks for no quantization before it casts: weights of a model that has none are float32 afterwards, too.
    """
    weights = draft.fields.get("weights")
    kinds = weights if isinstance(weights, list) else [weights]
    if draft.fields.get("method") in (None, "inference", "full") or not _PREPARED.search(text):
        return
    if set(kinds) <= names.BITSANDBYTES and "upcast" not in draft.fields:
        draft.say("upcast", True)
    elif weights in _HALVES:
        draft.fields["weights"] = "fp32"
        if NO_AUTOCAST.search(text):
            draft.say("compute", "fp32")


_HALVES = ("bf16", "fp16")

_CAST = re.compile(
    r"\b(?:adapters?|lora (?:weights|parameters|matrices))\b[^;]{0,90}?(?<!not )(?<!never )(?<!without being )"
    r"\bcast (?:back )?to (\w+)"
)


def say_cast(draft: Draft, text: str) -> None:
    """The dtype that somebody's own code casts adapters to, after the libraries made them."""
    cast = {names.OTHER_SPELLINGS.get(dtype, dtype) for dtype in _CAST.findall(text)} & set(names.FLOATS)
    if draft.fields.get("method") in names.LORA and len(cast) == 1:
        draft.say("lora.dtype", draft.fields.get("lora.dtype") or cast.pop())
