"""The table of the fields of a scenario: data only, one entry a field."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import names
from toolkit.spec.fields.cache import cache_fields
from toolkit.spec.fields.evaluation import evaluation_fields
from toolkit.spec.fields.field import Applies, FieldSpec
from toolkit.spec.fields.galore import galore_fields
from toolkit.spec.fields.kernels import kernel_fields
from toolkit.spec.fields.kind import Boolean, Integer, Kind, Number, one_of
from toolkit.spec.fields.lora_forms import lora_forms
from toolkit.spec.fields.named_kind import Checkpointing, Gpu, Head, Model, ModuleNames, Targets, Version
from toolkit.spec.fields.objective import objective_fields
from toolkit.spec.fields.optimizer import optimizer_fields
from toolkit.spec.fields.packing import packing_fields
from toolkit.spec.fields.parallel import parallel_fields
from toolkit.spec.fields.peft import peft_fields
from toolkit.spec.fields.process import process_fields
from toolkit.spec.fields.result import result_fields
from toolkit.spec.fields.sampling import sampling_fields
from toolkit.spec.fields.validation import validation_fields

_POSITIVE = Integer("a positive integer", 1, 10**12)
_TRAINED = ("gradients", "optimizer_states", "temporary")
_COMPUTED = ("activations", "logits", "temporary")
_ADAPTED = ("adapters", "gradients", "optimizer_states", "master_weights", "parameters", *_COMPUTED, "time")
_ALL = (
    "parameters", "weights", "adapters", "gradients", "optimizer_states", "master_weights", "activations",
    "logits", "kv_cache", "engine_pool", "temporary", "time",
)  # fmt: skip
_BY_VERSION = {
    "torch": ("gradients", *_COMPUTED, "reserved", "device"),
    "transformers": (
        "weights", "adapters", "gradients", "optimizer_states", "kv_cache", *_COMPUTED, "reserved",
    ),
    "trl": ("weights", "adapters", "gradients", "optimizer_states", *_COMPUTED, "reserved"),
    "peft": ("adapters", "gradients", "optimizer_states", "parameters", *_COMPUTED, "reserved"),
    "bitsandbytes": (*_COMPUTED, "reserved"),
    "accelerate": ("weights", "adapters", "gradients", "optimizer_states", *_COMPUTED, "reserved"),
    "vllm": ("activations", "kv_cache", "engine_pool", "reserved", "device"),
    "litgpt": ("kv_cache", *_COMPUTED, "reserved"),
    "autoawq": (*_COMPUTED, "reserved"),
    "torchtune": (*_COMPUTED, "reserved"),
    "torchtitan": (*_COMPUTED, "reserved"),
    "liger-kernel": (*_COMPUTED, "reserved"),
    "cuda": ("device",),
}  # fmt: skip
"""What the version of a package moves. That of any other package identifies evidence, and moves no memory."""


def all_fields() -> Iterator[FieldSpec]:
    """Every field, in the order in which a person would write them."""
    yield from _model_fields()
    yield from _training_fields()
    yield from _workload_fields()
    yield from _surroundings()


def _model_fields() -> Iterator[FieldSpec]:
    yield _field(
        "model",
        Model(),
        "The model: an id, the path of a config.json beside the spec, or a config.",
        ["Qwen/Qwen2.5-Coder-7B", "config.json"],
        _ALL,
    )
    yield _field(
        "head",
        Head(),
        "The head on top of the model.",
        ["causal-lm", "sequence-classification(3)"],
        ("parameters", "weights", "adapters", *_TRAINED, "master_weights", *_COMPUTED, "kv_cache"),
    )
    yield _field(
        "labels",
        Integer("a positive integer", 1, 10**6),
        "How many labels a classifier of sequences or of tokens has.",
        ["2"],
        ("parameters", "weights", "adapters", *_TRAINED, "master_weights", *_COMPUTED),
    )
    yield _field(
        "method",
        one_of("a method", names.METHODS),
        "What is done with the model: inference, or which of its weights are trained.",
        ["full", "qlora"],
        tuple(what for what in _ALL if what != "engine_pool"),
    )
    yield _field(
        "weights",
        one_of("a form of weights", names.WEIGHTS),
        "The form in which the GPU stores the model's weights.",
        ["bf16", "nf4"],
        ("weights", "adapters", *_TRAINED, *_COMPUTED, "kv_cache", "engine_pool", "time"),
    )
    yield _field(
        "double_quant",
        Boolean(),
        "Whether the scales of 4-bit weights are quantized as well.",
        ["true"],
        ("weights", "temporary"),
        "4-bit",
    )
    yield _field(
        "group_size",
        Integer("a positive integer, or -1 for all", -1, 65_536),
        "How many inputs share a scale in GPTQ and AWQ weights; 128 by default, -1 for all of them.",
        ["128"],
        ("weights", "temporary"),
        "groups",
    )
    yield _field(
        "desc_act",
        Boolean(),
        "Whether GPTQ quantized the inputs in the order of their activations, so that kernels have to reorder them.",
        ["true"],
        ("temporary",),
        "groups",
    )
    yield _field(
        "compute",
        one_of("a compute dtype", names.FLOATS),
        "The dtype of matrix products.",
        ["bf16"],
        (*_COMPUTED, "kv_cache", "engine_pool", "weights", "adapters", "gradients", "optimizer_states", "time"),
    )


def _training_fields() -> Iterator[FieldSpec]:
    yield _field(
        "amp",
        Boolean(),
        "Whether the forward pass runs under autocast, as a Trainer does with bf16=True.",
        ["true"],
        (*_COMPUTED, "weights", "gradients", "optimizer_states"),
        "training",
    )
    yield _field(
        "upcast",
        Boolean(),
        "Whether what is not quantized is cast to float32 before training (peft's prepare_model_for_kbit_training); "
        "by default as the trainer does.",
        ["false"],
        ("weights", *_COMPUTED),
        "training",
    )
    yield _field(
        "master_weights",
        one_of("a dtype of master weights", names.MASTERS, nullable=True),
        "A separate float32 copy of the weights beside the 16-bit ones.",
        ["fp32"],
        ("master_weights", "optimizer_states", "temporary"),
        "training",
    )
    yield _field(
        "gradients",
        one_of("a dtype of gradients", names.FLOATS, nullable=True),
        "The dtype of the gradients; null for that of the trained parameters.",
        ["fp32"],
        ("gradients", "optimizer_states", *_COMPUTED),
        "training",
    )
    yield _field(
        "optimizer",
        one_of("an optimizer", names.OPTIMIZERS),
        "The optimizer.",
        ["adamw", "adamw_8bit"],
        ("optimizer_states", "gradients", "parameters", *_COMPUTED, "time"),
        "training",
    )
    yield _field(
        "optimizer_implementation",
        one_of("an implementation", names.IMPLEMENTATIONS),
        "How torch runs the optimizer over many parameters.",
        ["fused"],
        ("temporary", "time"),
        "training",
    )
    yield _field(
        "optimizer_states",
        one_of("a dtype of optimizer states", names.STATES, nullable=True),
        "The dtype of the optimizer's states; null for that of the trained parameters.",
        ["fp32"],
        ("optimizer_states", "temporary"),
        "training",
    )
    yield from optimizer_fields()
    yield from galore_fields()
    yield _field(
        "gradient_accumulation",
        _POSITIVE,
        "Forward and backward passes before each optimizer step.",
        ["8"],
        ("gradients", "kv_cache", *_COMPUTED, "time"),
        "training",
    )
    yield _field(
        "gradient_checkpointing",
        Checkpointing(),
        "Whether activations are recomputed in the backward pass; true for the form that the stack chooses.",
        ["true", "non-reentrant"],
        ("activations", "temporary", "time"),
        "training",
    )


def _workload_fields() -> Iterator[FieldSpec]:
    yield _field(
        "batch_size",
        _POSITIVE,
        "Sequences that one GPU processes at once.",
        ["2"],
        (*_COMPUTED, "kv_cache", "time"),
    )
    yield _field(
        "sequence_length",
        _POSITIVE,
        "Tokens of a sequence; in inference, tokens of the prompt.",
        ["512"],
        (*_COMPUTED, "kv_cache", "weights", "time"),
    )
    yield _field(
        "generated_length",
        Integer("a whole number of tokens", 0, 10**9),
        "Tokens that inference generates; with 0, a plain loop runs one pass and gets the logits of all its tokens.",
        ["128"],
        ("kv_cache", *_COMPUTED, "weights", "time"),
        "inference",
    )
    yield _field(
        "padding",
        Boolean(),
        "Whether rows of the batch are padded to sequence_length, so that the attention mask has zeros; "
        "FlashAttention is counted as if hardly any token were padding.",
        ["true"],
        ("activations", "temporary", "time"),
    )
    yield from packing_fields()
    yield from objective_fields()
    yield _field(
        "warmup",
        Boolean(),
        "Whether the same process ran passes over the prompt before, as a benchmark does to warm up, in a loop that "
        "keeps each result until the next.",
        ["true"],
        ("logits", "kv_cache", "reserved", "device"),
        "inference",
    )
    yield from evaluation_fields()
    yield from sampling_fields()
    yield from validation_fields()
    yield _field(
        "attention",
        one_of("an implementation of attention", names.ATTENTION),
        "How attention is computed.",
        ["sdpa"],
        ("activations", "temporary", "time"),
    )
    yield _field(
        "lora.rank",
        Integer("a positive integer", 1, 65_536),
        "The rank of the adapters; in inference, of adapters that are not merged into the weights.",
        ["16"],
        _ADAPTED,
        "adapters",
    )
    yield _field(
        "lora.alpha",
        Integer("a positive integer", 1, 10**6),
        "The alpha of the adapters: their scale is alpha / rank.",
        ["32"],
        ("identity",),
        "adapters",
    )
    yield _field(
        "lora.targets",
        Targets(),
        "The modules that have adapters.",
        ["all-linear", "[q_proj, v_proj]"],
        _ADAPTED,
        "adapters",
    )
    yield _field(
        "lora.dropout",
        Number("a share from 0 to 1", 0.0, 1.0),
        "The dropout on the adapters' inputs.",
        ["0.05"],
        ("activations", "temporary"),
        "adapters",
    )
    yield _field(
        "lora.dtype",
        one_of("a dtype of adapters", names.FLOATS, nullable=True),
        "The dtype of the adapters; null for the one that the stack chooses.",
        ["fp32"],
        ("adapters", *_TRAINED, "activations", "logits"),
        "adapters",
    )
    yield _field(
        "lora.dora",
        Boolean(),
        "DoRA: whether the magnitude of each output's weights is trained as well.",
        ["true"],
        _ADAPTED,
        "adapters",
    )
    yield _field(
        "lora.bias",
        Boolean(),
        "Whether the second matrix of an adapter has a bias (lora_bias in peft).",
        ["true"],
        _ADAPTED,
        "adapters",
    )
    yield _field(
        "lora.modules_to_save",
        ModuleNames(),
        "Modules of which peft trains whole copies beside the adapters: all whose names end in one of these.",
        ["[embed_tokens, lm_head]"],
        (*_ADAPTED, "logits"),
        "adapters",
    )
    yield from lora_forms()
    yield from peft_fields()
    yield from kernel_fields()


def _surroundings() -> Iterator[FieldSpec]:
    yield from process_fields()
    yield from cache_fields()
    yield from parallel_fields()
    yield _field(
        "gpu",
        Gpu(),
        "The GPU by name, or any with this memory.",
        ["RTX 4090", "24 GB"],
        ("workspace", "device", "activations", "kv_cache", "engine_pool", "time"),
    )
    yield _field(
        "stack.trainer",
        one_of("a trainer", names.TRAINERS),
        "The software that runs the scenario; its defaults apply where a field is left open.",
        ["transformers", "trl"],
        _ALL,
    )
    yield _field(
        "stack.loss",
        one_of("a loss", names.LOSSES),
        "How logits and loss are computed.",
        ["cross-entropy"],
        ("logits", "temporary", "activations", "time"),
        "training",
    )
    yield from result_fields()
    for package in names.PACKAGES:
        yield _field(
            f"stack.{package}",
            Version(),
            f"The version of {package}.",
            ["5.23"],
            (*_BY_VERSION.get(package, ()), "time", "identity"),
        )
    yield from _engine_fields()
    yield _field("run.examples", _POSITIVE, "Examples of the training set.", ["320"], ("time",))
    yield _field("run.epochs", _POSITIVE, "Passes over the training set.", ["3"], ("time",), "training")


def _engine_fields() -> Iterator[FieldSpec]:
    profiled = ("activations", "engine_pool", "kv_cache", "device", "time")  # by release; caches with a window
    yield _field(
        "engine.gpu_memory_utilization",
        Number("a share from 0 to 1", 0.0, 1.0),
        "The share of the GPU's memory that vLLM takes.",
        ["0.9"],
        ("engine_pool", "reserved", "device"),
        "vllm",
    )
    yield _field(
        "engine.max_model_len",
        _POSITIVE,
        "The longest sequence that vLLM accepts; by default as many tokens as the model has positions.",
        ["8192"],
        ("kv_cache", "engine_pool", "activations", "device"),
        "vllm",
    )
    yield _field(
        "engine.max_num_seqs",
        _POSITIVE,
        "The largest number of sequences that vLLM runs at once.",
        ["256"],
        ("activations", "engine_pool", "device", "time"),
        "vllm",
    )
    yield _field(
        "engine.max_num_batched_tokens",
        _POSITIVE,
        "The largest number of tokens in one step of vLLM.",
        ["8192"],
        profiled,
        "vllm",
    )
    yield _field(
        "engine.kv_cache_dtype",
        one_of("a dtype of vLLM's keys and values", names.KV_CACHE_DTYPES),
        "The dtype in which vLLM keeps keys and values.",
        ["fp8"],
        ("kv_cache", "engine_pool"),
        "vllm",
    )
    yield _field(
        "engine.max_new_tokens",
        _POSITIVE,
        "The positions in AutoAWQ's cache, for prompt and answer; by default all of the model's positions.",
        ["2048"],
        ("kv_cache", "weights", "temporary"),
        "autoawq",
    )
    yield _field(
        "engine.enforce_eager",
        Boolean(),
        "Whether vLLM runs layers eagerly, without CUDA graphs.",
        ["true"],
        ("device", "activations", "engine_pool", "time"),
        "vllm",
    )


def _field(name: str, kind: Kind, doc: str, examples: list[str], affects: tuple[str, ...],
           applies: Applies = "always") -> FieldSpec:  # fmt: skip
    return FieldSpec(name, kind, doc, tuple(examples), frozenset(affects), applies)
