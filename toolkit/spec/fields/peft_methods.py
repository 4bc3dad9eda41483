"""The methods of peft other than LoRA whose parameters follow from their config, with the options that decide them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from toolkit.frozen import frozen

Option = str | int | float | bool | tuple[str, ...] | None
"""The value of a method's option; None where peft has no default, so that a scenario must state it."""


@frozen
class PeftMethod:
    """One method: what it does, the options that decide what it adds (with peft's defaults), and what it adapts.

    `on` is "linears" for methods that adapt linear layers, "prompts" for those that add tokens, else the kind of module
    that is trained. `rank` is peft's default rank, None for methods that have none.
    """

    meaning: str
    on: str = "linears"
    rank: int | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    quantized: bool = False


PEFT_METHODS: Mapping[str, PeftMethod] = {
    "adalora": PeftMethod(
        "train adapters as a product of three, whose rank shrinks", rank=12, options={"dropout": 0.0}, quantized=True),
    "adamss": PeftMethod(
        "train low-rank adapters of the weights' rows in clusters", rank=100,
        options={"num_subspaces": 5, "subspace_rank": 1}),
    "adaption_prompt": PeftMethod(
        "train tokens that attention sees in the last layers", "prompts", None, {"adapter_len": None,
        "adapter_layers": None}),
    "beft": PeftMethod("train a bias of linear layers"),
    "boft": PeftMethod(
        "train rotations of inputs in blocks, as butterflies", options={"block_size": 4}),
    "c3a": PeftMethod("train circulant blocks", options={"block_size": 256}),
    "deft": PeftMethod(
        "train directions that are removed from the weights, and what replaces them", rank=8, options={"para": False}),
    "delora": PeftMethod("train low-rank adapters of bounded length", rank=8),
    "fourierft": PeftMethod("train Fourier coefficients of the change to the weights", options={"n_frequency": 1000}),
    "glora": PeftMethod(
        "train factors and additions of weights and biases", rank=8,
        options={"config_a_b": "lora", "config_c": "lora", "config_d_e": "constant"}),
    "gralora": PeftMethod("train low-rank adapters of blocks", rank=32, options={"gralora_k": 2, "hybrid_r": 0}),
    "hira": PeftMethod("train low-rank factors of the weights", rank=32, quantized=True),
    "hra": PeftMethod("train reflections of inputs", rank=8),
    "ia3": PeftMethod(
        "train factors of keys, values and feed-forward inputs", options={"feedforward_modules": ()}, quantized=True),
    "lily": PeftMethod(
        "train low-rank adapters that layers share, and their routers", rank=32,
        options={"stride_a": 1, "num_b": 2}),
    "ln_tuning": PeftMethod("train copies of norms", "norms"),
    "loha": PeftMethod("train two low-rank adapters that are multiplied", rank=8),
    "lokr": PeftMethod(
        "train Kronecker products", rank=8, options={"decompose_both": False, "decompose_factor": -1}),
    "miss": PeftMethod(
        "train one matrix per layer, repeated over its weight", rank=64, options={"form": "default", "mini_r": 1}),
    "oft": PeftMethod("train rotations of inputs in blocks", rank=0, options={"block_size": 32, "block_share": False}),
    "osf": PeftMethod(
        "train the last singular vectors and values of the weights",
        options={"effective_rank": 0.5, "rank_pattern": ()}),
    "p_tuning": PeftMethod(
        "train virtual tokens and the network that makes them", "prompts", None,
        {"num_virtual_tokens": None, "encoder_hidden_size": None}),
    "peanut": PeftMethod("train small networks on the weights", rank=32),
    "prefix_tuning": PeftMethod(
        "train keys and values of virtual tokens", "prompts", None,
        {"num_virtual_tokens": None, "prefix_projection": False, "encoder_hidden_size": None}),
    "prompt_tuning": PeftMethod("train virtual tokens", "prompts", None, {"num_virtual_tokens": None}),
    "psoft": PeftMethod(
        "train a rotation of the weights' first singular vectors", rank=32,
        options={"psoft_orth": True, "psoft_mag_a": True, "psoft_mag_b": True, "psoft_svd": "full",
                 "ab_svd_init": "psoft_init"}),
    "pvera": PeftMethod("train means and spreads of the scales of frozen random adapters", rank=256),
    "randlora": PeftMethod("train scales of frozen random bases", rank=32, quantized=True),
    "road": PeftMethod("train rotations of pairs of outputs", options={"variant": "road_1"}, quantized=True),
    "shira": PeftMethod("train a few weights of each layer", rank=32),
    "tinylora": PeftMethod(
        "train one vector over random matrices between the weights' first singular vectors", rank=2,
        options={"u": 64, "weight_tying": 0.0}),
    "trainable_tokens": PeftMethod("train the embeddings of a few tokens", "embeddings", None, {"num_tokens": None}),
    "unilora": PeftMethod(
        "train one short vector that makes up all elements of all adapters", rank=4, options={"theta_d_length": 256}),
    "vblora": PeftMethod(
        "train a bank of vectors and which of them make an adapter", rank=4,
        options={"num_vectors": 256, "vector_length": 256}),
    "vera": PeftMethod("train scales of frozen random adapters", rank=256),
    "waveft": PeftMethod("train wavelets of the weights' change", options={"n_frequency": 2592}),
}  # fmt: skip
"""The methods by peft's names (peft 0.21, tuners/*/config.py): defaults are those of their configs."""

BASE_DTYPE = frozenset({"adaption_prompt", "ln_tuning"})
"""Methods whose parameters keep the dtype of the model (tuners/ln_tuning/layer.py, tuners/adaption_prompt/layer.py)."""


def column_of(method: str) -> str:
    """The method by which errors are known: LoRA's for all methods that train a little beside a frozen model."""
    return "lora" if method in PEFT_METHODS else method


def owners(option: str) -> tuple[str, ...]:
    """The methods that have an option: peft's own, or `targets` and `rank`, which several share."""
    if option == "rank":
        return tuple(name for name, method in PEFT_METHODS.items() if method.rank is not None)
    if option == "targets":
        return tuple(name for name, method in PEFT_METHODS.items() if method.on in ("linears", "norms"))
    if option == "dtype":
        return tuple(name for name in PEFT_METHODS if name not in BASE_DTYPE)
    return tuple(name for name, method in PEFT_METHODS.items() if option in method.options)


_IA3_KEYS = dict.fromkeys(("llama", "mistral"), ("k_proj", "v_proj", "down_proj"))
_IA3_QUERIES = dict.fromkeys(("gemma", "gemma2", "gemma3_text", "qwen2", "qwen3"), ("q_proj", "v_proj", "down_proj"))
_IA3: Mapping[str, tuple[str, ...]] = {
    **_IA3_KEYS,
    **_IA3_QUERIES,
    "bert": ("key", "value", "output.dense"),
    "bloom": ("query_key_value", "mlp.dense_4h_to_h"),
    "deberta": ("in_proj", "output.dense"),
    "deberta-v2": ("key_proj", "value_proj", "output.dense"),
    "falcon": ("query_key_value", "dense_4h_to_h"),
    "gpt2": ("c_attn", "mlp.c_proj"),
    "gpt_neox": ("query_key_value", "dense_4h_to_h"),
    "opt": ("q_proj", "k_proj", "fc2"),
    "phi": ("q_proj", "v_proj", "fc2"),
    "roberta": ("key", "value", "output.dense"),
    "t5": ("k", "v", "wo"),
}
"""peft's targets of IA3 by model type, the last of which scales inputs (utils/constants.py)."""

_TWO_NORMS = ("input_layernorm", "post_attention_layernorm")
_FOUR_NORMS = (*_TWO_NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm", "norm")
_NORMS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("llama", "mistral", "gemma"), (*_TWO_NORMS, "norm")),
    **dict.fromkeys(("gemma2", "gemma3_text"), _FOUR_NORMS),
    **dict.fromkeys(("bloom", "falcon"), (*_TWO_NORMS, "ln_f")),
    **dict.fromkeys(("qwen2", "qwen3"), ("post_attention_layernorm",)),
    "gpt2": ("ln_1", "ln_2", "ln_f"),
    "phi": ("input_layernorm", "final_layernorm"),
    "t5": ("layer_norm", "final_layer_norm"),
}
"""peft's targets of LN tuning by model type (utils/constants.py)."""


def default_targets(method: str, model_type: str | None) -> tuple[str, ...] | None:
    """The targets that peft has for IA3 or LN tuning of a model type; None where it has none, or it is neither."""
    return {"ia3": _IA3, "ln_tuning": _NORMS}.get(method, {}).get(model_type or "")


def ia3_feedforward(model_type: str) -> tuple[str, ...]:
    """The modules of which IA3 scales inputs where nothing is said."""
    return _IA3.get(model_type, ())[-1:]
