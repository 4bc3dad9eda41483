"""What is traced of everything that a scenario may say, value by value: a list that a test runs through.

Each value stands in a scenario that is otherwise as plain as the value allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.frozen import frozen
from toolkit.memory.layouts.encoders import READERS
from toolkit.memory.trace.refused import MXFP4, PIPELINE, refusal_of
from toolkit.spec.fields import kernel_names, names
from toolkit.spec.fields.evaluation import EVALUATIONS
from toolkit.spec.fields.objective import OBJECTIVES, REFERENCES
from toolkit.spec.fields.packing import PACKINGS
from toolkit.spec.fields.parallel import ONE_F_ONE_B, SCHEDULES
from toolkit.spec.fields.process import EARLIER, LOADINGS
from toolkit.spec.fields.sampling import SAMPLING
from toolkit.spec.settings.cache import UNKEPT
from toolkit.spec.settings.setting import Cache, Galore, Kernels, Lora, Parallel, Setting, Stack, Validation

PACKED = "openai/gpt-oss-20b"
"""A model whose experts are stored in MXFP4."""
ENCODER = "google-bert/bert-base-uncased"
DECODER = "Qwen/Qwen2.5-0.5B"

BESIDE_WEIGHTS = frozenset({"kimi_k2", "qwen"})
"""Model types whose code is published beside their weights, and not in transformers."""

RUN = Setting(DECODER, "inference", "bf16", generated_length=2)
TRAIN = Setting(DECODER, "full", "bf16")
ADAPT = Setting(DECODER, "lora", "bf16", lora=Lora(8), amp=True, gradients="fp32", optimizer_states="fp32")

PREFER = replace(TRAIN, objective="dpo", reference="model", stack=Stack("trl", "chunked"))

OFFLOAD = replace(TRAIN, gradient_checkpointing="non-reentrant", stack=Stack("trl", "chunked"))


SCHEDULE = replace(TRAIN, model="allenai/OLMo-7B-hf", gradient_accumulation=2, stack=Stack("plain", "from-logits"))


@frozen
class Sample:
    """A value of a field, in a setting; `refusal` says why it is not traced, empty where it is."""

    field: str
    value: str
    setting: Setting
    refusal: str


MAMBA = ("in_proj", "x_proj")
TARGETS = {
    "nemotron_h": ("q_proj", "v_proj", "in_proj"), "llama4": ("q_proj", "v_proj", "gate_proj"),
    "mamba": MAMBA, "falcon_mamba": MAMBA,
}  # fmt: skip
"""Modules that peft adapts where among all linear ones some are that it cannot: it refuses Mamba's output projection,
and fails at Llama 4's router, a linear layer that gives two tensors."""


def samples() -> Iterator[Sample]:
    """Every value of every field that changes what runs."""
    for field, value, setting in _settings():
        yield Sample(field, value, setting, refusal_of(setting))


def models() -> Iterator[Sample]:
    """Every model of the tables, with adapters; what is refused so is refused for inference, too."""
    for name in MODEL_IDS:
        found = load_model(name)
        assert isinstance(found, ModelFacts)
        kind = str(found.config.get("model_type"))
        refusal = f"transformers has no model type {kind!r}" if kind in BESIDE_WEIGHTS else ""
        head = "masked-lm" if kind in READERS else "causal-lm"
        targets = TARGETS.get(kind, "all-linear")
        setting = replace(ADAPT, model=name, head=head, lora=Lora(8, targets=targets))
        yield Sample("model", name, setting, refusal)


def _settings() -> Iterator[tuple[str, str, Setting]]:
    for field, setting, values in PLAIN:
        for value in values:
            yield field, value, replace(setting, **_changed(field, value))
    unmerged = replace(RUN, lora=Lora(8))
    for field, plain in (("weights, inference", RUN), ("weights, unmerged", unmerged), ("weights, adapters", ADAPT)):
        for value in names.WEIGHTS:
            yield field, value, replace(plain, weights=value, **_model(value))
    for value in sorted(names.DOUBLE_QUANTIZED):
        yield "double_quant", value, replace(ADAPT, method="qlora", weights=value, double_quant=True)
    yield from _optimizers()
    for field, plain in (("head, inference", replace(RUN, generated_length=0)), ("head, training", TRAIN)):
        for value in names.HEADS:
            yield field, value, replace(plain, model=ENCODER if value == "masked-lm" else DECODER, head=value, labels=2)
    yield from _losses()


def _optimizers() -> Iterator[tuple[str, str, Setting]]:
    for value in names.OPTIMIZERS:
        for form in names.IMPLEMENTATIONS if value in names.TORCH_OPTIMIZERS else ("for-loop",):
            said = f"{value}, {form}" if value in names.TORCH_OPTIMIZERS else value
            states = {**dict.fromkeys(names.OPTIMIZERS_32BIT, "fp32"), **dict.fromkeys(names.OPTIMIZERS_8BIT, "int8")}
            changed: dict[str, Any] = {"optimizer_states": states.get(value, "bf16"), "optimizer_implementation": form}
            if value in names.GALORE:
                changed["galore"] = Galore(4, ("attn", "mlp"))
            yield "optimizer", said, replace(TRAIN, optimizer=value, **changed)


def _losses() -> Iterator[tuple[str, str, Setting]]:
    for value in names.LOSSES:
        yield "stack.loss", f"{value}, transformers", replace(TRAIN, stack=Stack("transformers", value))
        older = value == "cross-entropy"  # since 0.17 SFTTrainer has a loss of its own
        stack = Stack("trl", value, {"trl": "0.16"} if older else {})
        yield "stack.loss", f"{value}, trl before 0.17" if older else f"{value}, trl", replace(TRAIN, stack=stack)


PLAIN: tuple[tuple[str, Setting, tuple[str, ...]], ...] = (
    ("method", TRAIN, ("inference", "full", "lora", "qlora")),
    ("compute", TRAIN, tuple(names.FLOATS)),
    ("amp", ADAPT, ("true", "false")),
    ("upcast", replace(ADAPT, method="qlora", weights="nf4"), ("true", "false")),
    ("kernels.gptq", replace(ADAPT, method="qlora", weights="gptq-int4"), tuple(kernel_names.GPTQ_KERNELS)),
    ("kernels.adapters", replace(ADAPT, method="qlora", weights="nf4"), tuple(kernel_names.ADAPTER_KERNELS)),
    ("kernels.norm", TRAIN, ("true", "false")),
    ("kernels.rotary", TRAIN, ("true", "false")),
    ("kernels.liger", TRAIN, ("true", "false", *kernel_names.LIGER_PLACES)),
    ("kernels.experts", TRAIN, tuple(kernel_names.EXPERT_KERNELS)),
    ("kernels.linear_attention", TRAIN, tuple(kernel_names.LINEAR_ATTENTION_KERNELS)),
    ("kernels.convolution", TRAIN, tuple(kernel_names.CONVOLUTION_KERNELS)),
    ("packing", TRAIN, tuple(PACKINGS)),
    ("packing, flash", replace(TRAIN, attention="flash"), tuple(PACKINGS)),
    ("master_weights", TRAIN, tuple(names.MASTERS)),
    ("gradients", TRAIN, tuple(names.FLOATS)),
    ("optimizer_states", TRAIN, tuple(names.STATES)),
    ("gradient_accumulation", TRAIN, ("1", "4")),
    ("gradient_checkpointing", ADAPT, ("false", *names.CHECKPOINTING)),
    ("attention", TRAIN, tuple(names.ATTENTION)),
    ("padding, training", TRAIN, ("true", "false")),
    ("padding, inference", RUN, ("true", "false")),
    ("use_cache", TRAIN, ("false",)),
    ("warmup", RUN, ("true", "false")),
    ("evaluation", replace(RUN, generated_length=0, stack=Stack("plain")), tuple(EVALUATIONS)),
    ("loading", RUN, tuple(LOADINGS)),
    ("earlier_passes", RUN, tuple(EARLIER)),
    ("objective", PREFER, tuple(OBJECTIVES)),
    ("reference", PREFER, tuple(REFERENCES)),
    ("optimizer_in_backward", replace(TRAIN, stack=Stack("plain")), ("true", "false")),
    ("optimizer_in_backward, transformers", TRAIN, ("true",)),
    ("activation_offloading", OFFLOAD, ("true", "false")),
    ("activation_offloading, transformers", TRAIN, ("true",)),
    ("sampling", RUN, tuple(SAMPLING)),
    ("validation.kept_batches", TRAIN, ("0", "3")),
    ("validation.kept_batches, trl", replace(ADAPT, stack=Stack("trl", "chunked")), ("0", "3")),
    ("padding, flash", replace(TRAIN, attention="flash"), ("true", "false")),
    ("padding, eager", replace(TRAIN, attention="eager"), ("true", "false")),
    ("cache.implementation", RUN, tuple(names.CACHES)),
    ("cache.backend", RUN, tuple(names.CACHE_BACKENDS)),
    ("parallel.strategy, training", TRAIN, tuple(names.STRATEGIES)),
    ("parallel.strategy, inference", RUN, tuple(names.STRATEGIES)),
    ("parallel.offload", TRAIN, ("true", *names.OFFLOADED)),
    ("parallel.schedule", SCHEDULE, tuple(SCHEDULES)),
    ("parallel.returns_outputs", SCHEDULE, ("true", "false")),
    ("parallel.stage_layers", SCHEDULE, ("1 1",)),
    ("stack.trainer, training", TRAIN, tuple(names.TRAINERS)),
    ("stack.trainer, inference", RUN, tuple(names.TRAINERS)),
)


def _model(weights: str) -> Mapping[str, Any]:
    return {"model": PACKED, "generated_length": 0} if weights == MXFP4 else {}


KERNELS: Mapping[str, Callable[[str], Kernels]] = {
    "kernels.gptq": lambda value: Kernels(gptq=value),
    "kernels.adapters": lambda value: Kernels(adapters=value),
    "kernels.norm": lambda value: Kernels(norm=value == "true"),
    "kernels.rotary": lambda value: Kernels(rotary=value == "true"),
    "kernels.liger": lambda value: Kernels(liger=value if value == "instance" else value != "false"),
    "kernels.experts": lambda value: Kernels(experts=value),
    "kernels.linear_attention": lambda value: Kernels(linear_attention=None if value == "torch" else value),
    "kernels.convolution": lambda value: Kernels(convolution=None if value == "torch" else value),
}


def _on_schedule(**said: Any) -> Parallel:
    return Parallel(2, PIPELINE, **{"schedule": ONE_F_ONE_B, **said})


SPREAD: Mapping[str, Callable[[str], Parallel]] = {
    "parallel.strategy": lambda value: Parallel(1 if value == "none" else 2, value),
    "parallel.offload": lambda value: Parallel(2, "fsdp2", offload=True if value == "true" else value),
    "parallel.schedule": lambda value: _on_schedule(schedule=value),
    "parallel.returns_outputs": lambda value: _on_schedule(returns_outputs=value == "true"),
    "parallel.stage_layers": lambda value: _on_schedule(stage_layers=tuple(map(int, value.split()))),
}


OTHERWISE: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
    "validation.kept_batches": lambda value: {"validation": Validation(2, 16, int(value))},
    "use_cache": lambda value: {"uncached": value == "false"},
}
"""Fields that a setting has by another name."""


def _changed(field: str, value: str) -> Mapping[str, Any]:
    name = field.partition(",")[0]
    if name in KERNELS:
        return {"kernels": KERNELS[name](value)}
    if name in SPREAD:
        return {"parallel": SPREAD[name](value)}
    if name in OTHERWISE:
        return OTHERWISE[name](value)
    match name:
        case "method":
            return _method(value)
        case "amp" | "padding" | "warmup" | "upcast" | "optimizer_in_backward" | "activation_offloading":
            return {name: value == "true"}
        case "cache.implementation" | "cache.backend":
            return {"uncached": True, "generated_length": 1} if value == UNKEPT else {"cache": _cache(value)}
        case "gradient_accumulation":
            return {name: int(value)}
        case "compute" if value == "fp32":
            return {"compute": value, "weights": value, "gradients": value, "optimizer_states": value}
        case "stack.trainer":
            return {"stack": Stack(value, "chunked" if value == "trl" else "cross-entropy")}
    return {name: value}


def _cache(value: str) -> Cache | None:
    """The cache of an implementation or of a backend that quantizes: fp8 needs no package."""
    if value in ("quantized", "fp8"):
        return Cache("quantized", backend="fp8")
    if value in names.CACHE_BACKENDS:
        return Cache("quantized", None, value, 4, 0, 0, 64, 128)
    return None if value == "dynamic" else Cache(value)


def _method(value: str) -> Mapping[str, Any]:
    adapters = {"lora": Lora(8), "gradients": "fp32", "optimizer_states": "fp32", "amp": True}
    return {
        "method": value,
        **(adapters if value in names.LORA else {}),
        **({"weights": "nf4"} if value == "qlora" else {}),
    }
