"""What a reader would assume for the fields that a document leaves open.

Profiles belong to the toolkit, by task. A change of one is a new version: verdicts name the profile that they
rest on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.frozen import frozen
from toolkit.spec.fields import names
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.fields.peft_methods import PEFT_METHODS, default_targets
from toolkit.spec.fields.value import Atom, Choices, Range
from toolkit.spec.scenario import Scenario, applies
from toolkit.spec.settings.attention_releases import usual_attention
from toolkit.spec.settings.lora_targets import usual_targets
from toolkit.spec.settings.stack_rules import (
    MEGATRON,
    double_quantizations,
    losses,
    optimizer_implementations,
    vllm_shares,
)

__all__ = [
    "PROFILES",
    "Assumption",
    "Options",
    "Profile",
    "Range",
    "open_fields",
    "profile_of",
    "settled_fields",
]

Options = tuple[Atom, ...] | Range
"""The options of an open field: values, or a range of whole numbers."""


@frozen
class Assumption:
    """What a reader would assume of one field, and why. `options` gives those for a scenario, or none."""

    name: str
    options: Callable[[Scenario], Options]
    reason: str


@frozen
class Profile:
    """The assumptions for one task."""

    name: str
    assumptions: tuple[Assumption, ...]


def _always(*values: Atom) -> Callable[[Scenario], Options]:
    return lambda _scenario: values


def _range(low: int, high: int) -> Callable[[Scenario], Options]:
    return lambda _scenario: Range(low, high)


def _weights(scenario: Scenario) -> Options:
    if scenario.method == "qlora":
        return ("nf4",)
    if _trainer(scenario) == "torchtitan":  # config/job_config.py, training.dtype
        return ("fp32",)
    if _trainer(scenario) == MEGATRON:  # --bf16, beside float32 master weights
        return ("bf16",)
    return ("bf16", "fp32") if scenario.trains else _loaded(scenario)


def _loaded(scenario: Scenario) -> Options:
    """The forms in which a model is loaded for inference: that of its checkpoint, if that is none of 16 bit."""
    stored = scenario.stored
    if stored in names.QUANTIZED:  # without Triton's kernels transformers makes MXFP4 weights bf16
        return (stored, "bf16") if stored == "mxfp4" and _trainer(scenario) != "vllm" else (stored,)
    whole = stored == "fp32" or (stored is None and not _is_language_model(scenario))  # encoders older than the key
    return ("bf16", "fp32") if whole and _trainer(scenario) in ("transformers", "plain") else ("bf16",)


def _double_quant(scenario: Scenario) -> Options:
    weights = scenario.possible("weights") or _weights(scenario)
    able = not isinstance(weights, Range) and any(value in names.DOUBLE_QUANTIZED for value in weights)
    return double_quantizations(_trainer(scenario)) if able else ()


def _checkpointing(scenario: Scenario) -> Options:
    """On for models in 8 or 4 bit: both ways to prepare them for training turn it on unless told.

    Sources: peft utils/other.py (`use_gradient_checkpointing=True`), trl sft_config.py (`gradient_checkpointing`).
    """
    weights = scenario.possible("weights") or _weights(scenario)
    quantized = not isinstance(weights, Range) and all(value in names.BITSANDBYTES for value in weights)
    return (True,) if quantized else (True, False)


def _amp(scenario: Scenario) -> Options:
    mixes = scenario.method == "qlora" or _trainer(scenario) == "torchtitan"
    halves = scenario.fixed("weights") in ("bf16", "fp16")
    casts = halves and scenario.fixed("parallel.strategy") in names.DEEPSPEED  # in its engine, without autocast
    if _trainer(scenario) == MEGATRON or casts:
        return (False,)
    return (True,) if mixes else (True, False)


def _trainer(scenario: Scenario) -> str:
    return str(scenario.fixed("stack.trainer") or "transformers")


def _is_language_model(scenario: Scenario) -> bool:
    """Whether the model may have its language model's head, with which alone it generates."""
    heads = scenario.possible("head")
    return not heads or "causal-lm" in heads


def _generated(scenario: Scenario) -> Options:
    return (0, 512) if _is_language_model(scenario) else (0,)


def _trainers(scenario: Scenario) -> Options:
    return ("transformers", "trl") if _is_language_model(scenario) else ("transformers",)


def _versions(scenario: Scenario) -> dict[str, str]:
    return {package: str(value) for package in names.PACKAGES if (value := scenario.fixed(f"stack.{package}"))}


def _implementations(scenario: Scenario) -> Options:
    optimizer = str(scenario.fixed("optimizer") or "adamw")
    return optimizer_implementations(_trainer(scenario), optimizer, _versions(scenario))


def _attention(scenario: Scenario) -> Options:
    return (usual_attention(scenario.model_type, _trainer(scenario), _versions(scenario)),)


def _losses(scenario: Scenario) -> Options:
    objective = str(scenario.fixed("objective") or NEXT_TOKEN)
    return losses(_trainer(scenario), _versions(scenario), objective)


def _shares(scenario: Scenario) -> Options:
    return vllm_shares(_versions(scenario)) if _trainer(scenario) == "vllm" else ()


def _buckets(scenario: Scenario) -> Options:
    """Sizes of DeepSpeed's buckets: a Trainer's guides write auto, a plain config leaves DeepSpeed's own."""
    if not any(strategy in names.DEEPSPEED for strategy in scenario.possible("parallel.strategy")):
        return ()
    return ("auto", "deepspeed") if _trainer(scenario) in ("transformers", "trl") else ("deepspeed",)


def _adapters(options: Callable[[Scenario], Options]) -> Callable[[Scenario], Options]:
    """Options of a scenario that has adapters: one that trains them, or that says so itself."""

    def for_adapters(scenario: Scenario) -> Options:
        has = scenario.method in ("lora", "qlora") or any(name.startswith("lora.") for name in scenario.fields)
        return options(scenario) if has else ()

    return for_adapters


def _peft_targets(scenario: Scenario) -> Options:
    """What peft has for norms and IA3; other methods are put on what LoRA is."""
    method = PEFT_METHODS.get(scenario.method)
    if method is None or method.on not in ("linears", "norms"):
        return ()
    own = default_targets(scenario.method, scenario.model_type)
    return (own,) if own else () if scenario.method in ("ia3", "ln_tuning") else usual_targets(scenario.model_type)


def _galore_targets(scenario: Scenario) -> Options:
    """Layers whose gradients are projected, for a scenario that may project any."""
    return (("attn", "mlp"), "all-linear") if names.PROJECTED & set(scenario.possible("optimizer")) else ()


_RANK = Assumption("lora.rank", _adapters(_range(4, 64)), "Guides use ranks from 4 to 64.")
_TARGETS = Assumption(
    "lora.targets",
    _adapters(lambda scenario: usual_targets(scenario.model_type)),
    "Readers take peft's default, all of attention, or every linear layer.",
)

_PEFT_TARGETS = Assumption("peft.targets", _peft_targets, "Readers take peft's default, or targets as LoRA's.")

_GALORE = Assumption(
    "galore.targets", _galore_targets, "transformers asks for targets: its guide has attention and MLP, others all."
)

_TRAIN = Profile(
    "train-2026-11",
    (
        Assumption(
            "weights",
            _weights,
            "Checkpoints are bf16; transformers before 5 and TRL's trainers load float32 unless told. QLoRA uses NF4.",
        ),
        Assumption(
            "double_quant",
            _double_quant,
            "transformers leaves double quantization off; QLoRA's paper has it on.",
        ),
        Assumption("batch_size", _range(1, 8), "One GPU trains on one to eight sequences at once."),
        Assumption("sequence_length", _range(512, 4096), "Fine-tuning data is cut at 512 to 4,096 tokens."),
        Assumption(
            "gradient_accumulation",
            _always(1, 8),
            "A Trainer accumulates nothing; guides accumulate 8 steps.",
        ),
        Assumption(
            "gradient_checkpointing",
            _checkpointing,
            "A Trainer leaves it off, TRL and guides turn it on, as peft's prepare_model_for_kbit_training does.",
        ),
        Assumption("padding", _always(False), "A guide's batch is as long as it says: every row is full."),
        Assumption("attention", _attention, "transformers takes SDPA wherever a model of its release supports it."),
        Assumption("optimizer", _always("adamw"), "AdamW is the default of every trainer here."),
        Assumption(
            "optimizer_implementation",
            _implementations,
            "A Trainer's AdamW is fused from torch 2.8, before not.",
        ),
        Assumption("amp", _amp, "Guides train with bf16=True, plain 16-bit training goes without autocast."),
        _RANK,
        _TARGETS,
        _PEFT_TARGETS,
        _GALORE,
        Assumption(
            "stack.trainer",
            _trainers,
            "Guides use transformers' Trainer, or for language models TRL's SFTTrainer.",
        ),
        Assumption("stack.loss", _losses, "A causal language model's own loss, unless the trainer has another."),
        Assumption("parallel.buckets", _buckets, "Configs for a Trainer say auto, others leave DeepSpeed's defaults."),
    ),
)

_INFERENCE = Profile(
    "inference-2026-11",
    (
        Assumption(
            "weights", _weights, "Checkpoints are loaded as they are stored; guides load those of 32 bits in 16, too."
        ),
        Assumption("double_quant", _double_quant, "transformers leaves double quantization off; guides turn it on."),
        Assumption("batch_size", _range(1, 8), "One GPU answers one to eight requests at once."),
        Assumption("sequence_length", _range(128, 4096), "Prompts have 128 to 4,096 tokens."),
        Assumption(
            "generated_length", _generated, "A forward pass alone, or of language models an answer of 512 tokens."
        ),
        Assumption("padding", _always(False), "A guide's batch is as long as it says: every row is full."),
        Assumption("attention", _attention, "transformers takes SDPA wherever a model of its release supports it."),
        _RANK,
        _TARGETS,
        Assumption("stack.trainer", _always("transformers"), "A model's name alone means transformers."),
        Assumption("engine.gpu_memory_utilization", _shares, "vLLM takes 0.9 of the card, and 0.92 since 0.21."),
    ),
)

PROFILES: Mapping[str, Profile] = {"train": _TRAIN, "inference": _INFERENCE}
"""The profile of each task."""


def profile_of(scenario: Scenario) -> Profile:
    """The profile that fills a scenario's open fields."""
    return PROFILES[scenario.task]


def open_fields(scenario: Scenario, profile: Profile | None = None) -> dict[str, Options]:
    """The fields that the document does not settle, with the values that they may take.

    A field with one possible value is settled. A list or range of the spec takes the place of the profile's.
    """
    options: dict[str, Options] = {}
    for assumption in (profile or profile_of(scenario)).assumptions:
        if assumption.name not in scenario.fields:
            options[assumption.name] = assumption.options(scenario)
    for name, said in scenario.fields.items():
        if isinstance(said.value, Choices):
            options[name] = said.value.values
        elif isinstance(said.value, Range):
            options[name] = said.value
    return {name: values for name, values in options.items() if _count(values) > 1}


_OWN_TO_ENGINES = frozenset({"padding", "attention"})
"""Fields that an engine decides in its own way, whatever a scenario states."""


def settled_fields(scenario: Scenario) -> dict[str, Atom]:
    """The unstated fields for which the profile has a single value, with that value."""
    return {
        assumption.name: options[0]
        for assumption in profile_of(scenario).assumptions
        if assumption.name not in scenario.fields
        and not (assumption.name in _OWN_TO_ENGINES and _trainer(scenario) == "vllm")
        and applies(assumption.name, scenario.fields)
        and isinstance(options := assumption.options(scenario), tuple)
        and len(options) == 1
    }


def _count(options: Options) -> int:
    return options.high - options.low + 1 if isinstance(options, Range) else len(options)
