"""Fields of one scenario that cannot be true together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from toolkit.finding import Finding, Place
from toolkit.frozen import frozen
from toolkit.spec.fields import names
from toolkit.spec.fields.evaluation import NO_LABELS
from toolkit.spec.fields.objective import GRPO, NEXT_TOKEN, PREFERENCES
from toolkit.spec.fields.peft_methods import PEFT_METHODS, owners
from toolkit.spec.fields.process import IN_CONTEXT
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.fields.result import DECODED, OWN_LOOP, TRAINED
from toolkit.spec.fields.sampling import GREEDY
from toolkit.spec.fields.value import Atom
from toolkit.spec.scenario import Scenario, applies

_HARMLESS: dict[str, tuple[Atom, ...]] = {
    "generated_length": (0,),
    "gradient_checkpointing": (False,),
    "gradient_accumulation": (1,),
    "optimizer": ("none",),
    "master_weights": (None,),
    "gradients": (None,),
    "optimizer_states": (None,),
    "amp": (False,),
    "double_quant": (False,),
    "warmup": (False,),
    "evaluation": (NO_LABELS,),
    "sampling": (GREEDY,),
    "objective": (NEXT_TOKEN,),
    "answer_length": (0,),
    "optimizer_in_backward": (False,),
    "activation_offloading": (False,),
    "cache.implementation": ("dynamic",),
}
"""Values that mean the absence of a field, so that they contradict nothing."""

_WHERE = {
    "training": "is for training, and this scenario is inference",
    "inference": "is for inference, and this scenario trains",
    "adapters": "is for adapters: of methods lora and qlora, and of inference where they are not merged",
    "peft": f"is for methods of peft beside LoRA: {', '.join(PEFT_METHODS)}",
    "galore": f"is for optimizers {', '.join(sorted(names.PROJECTED))}",
    "groups": f"is for weights {' or '.join(sorted(names.GROUPED))}",
    "4-bit": f"is for weights {' or '.join(sorted(names.DOUBLE_QUANTIZED))}",
    "vllm": "is for stack.trainer vllm",
    "autoawq": "is for stack.trainer autoawq",
    "deepspeed": f"is for DeepSpeed: strategy {' or '.join(names.DEEPSPEED)}",
    "zero3": "is for strategy zero3",
    "fsdp": "is for strategy fsdp",
    "fsdp or fsdp2": "is for strategies fsdp and fsdp2",
    "shards": "is for strategies fsdp, fsdp2 and zero3",
    "pipeline": "is for strategy pipeline",
    "static cache": "is for cache.implementation static",
    "quantized cache": "is for cache.implementation quantized",
    "answers": f"is for objective {GRPO}",
    "preferences": f"is for objective {' or '.join(PREFERENCES)}",
    "device context": f"is for loading {IN_CONTEXT}",
}


@frozen
class Contradiction:
    """Two fields that exclude each other: the one to point at, and why."""

    name: str
    message: str
    repair: str | None = None


def contradictions(scenario: Scenario) -> list[Finding]:
    """Every contradiction among the fields that a scenario says itself or takes over."""
    found = [
        Finding(scenario.place_of(name), "S113", f"{name} {_WHERE[FIELDS[name].applies]}", f"delete {name}")
        for name, said in scenario.fields.items()
        if said.origin == "own" and not applies(name, scenario.fields) and not _harmless(scenario, name)
    ]
    for rule in RULES:
        for clash in rule(scenario):
            found.append(Finding(_place(scenario, clash.name), "S113", clash.message, clash.repair))
    return found


def _harmless(scenario: Scenario, name: str) -> bool:
    values = scenario.possible(name)
    return bool(values) and all(value in _HARMLESS.get(name, ()) for value in values)


def _place(scenario: Scenario, name: str) -> Place:
    return scenario.place_of(name)


def _weights_of_method(scenario: Scenario) -> Iterator[Contradiction]:
    for weights in scenario.possible("weights"):
        for method in scenario.possible("method"):
            if method == "qlora" and weights not in names.FOUR_BIT:
                yield Contradiction(
                    "weights",
                    f"method qlora trains beside 4-bit weights, not {weights}",
                    "write nf4, or method: lora",
                )
            elif method == "lora" and weights in names.FOUR_BIT:
                yield Contradiction(
                    "method", f"method lora beside 4-bit weights ({weights}) is qlora", "write method: qlora"
                )
            elif method == "full" and weights in names.QUANTIZED:
                yield Contradiction(
                    "weights", f"method full cannot train {weights} weights", "write bf16, fp16 or fp32"
                )


def _dtypes(scenario: Scenario) -> Iterator[Contradiction]:
    if "fp32" in scenario.possible("master_weights"):
        if "fp32" in scenario.possible("weights"):
            yield Contradiction("master_weights", "fp32 weights need no fp32 master copy", "delete master_weights")
        if scenario.method in ("lora", "qlora"):
            yield Contradiction("master_weights", f"method {scenario.method} trains no weights that have a master copy")
    yield from _dtypes_of_zero(scenario)
    if "int8" in scenario.possible("optimizer_states"):
        wrong = [name for name in scenario.possible("optimizer") if name not in names.OPTIMIZERS_8BIT]
        if wrong:
            yield Contradiction("optimizer_states", f"{wrong[0]} has no 8-bit states", "write optimizer: adamw_8bit")


def _dtypes_of_zero(scenario: Scenario) -> Iterator[Contradiction]:
    """DeepSpeed's ZeRO alone has master weights in bfloat16, and states have their dtype (precision_config.py)."""
    narrow = "bf16" in scenario.possible("master_weights")
    if scenario.fixed("parallel.strategy") not in names.DEEPSPEED:
        if narrow:
            reason = "DeepSpeed's ZeRO alone keeps bf16 master weights"
            yield Contradiction("master_weights", reason, "write parallel.strategy, or fp32")
        return
    master = "bf16" if narrow else "fp32"
    for dtype in scenario.possible("optimizer_states"):
        if dtype in names.FLOATS and dtype != master:
            reason = f"DeepSpeed's states have the dtype of its master weights, {master}, not {dtype}"
            yield Contradiction("optimizer_states", reason, f"write {master}")


def _optimizer(scenario: Scenario) -> Iterator[Contradiction]:
    if "optimizer_implementation" in scenario.fields:
        for name in scenario.possible("optimizer"):
            if name not in names.TORCH_OPTIMIZERS:
                yield Contradiction(
                    "optimizer_implementation",
                    f"{name} is no optimizer of torch, which has them",
                    "delete optimizer_implementation",
                )
            elif name in names.NEVER_FUSED and "fused" in scenario.possible("optimizer_implementation"):
                message = f"torch has no fused {name} for a GPU"
                yield Contradiction("optimizer_implementation", message, "write foreach or for-loop")
    galore = [name for name in scenario.possible("optimizer") if name in names.PROJECTED]
    if galore and scenario.method not in ("full", "inference"):
        message = f"{galore[0]} projects the gradients of whole matrices, and method {scenario.method} has none"
        yield Contradiction("optimizer", message, "write method: full, or another optimizer")


def _lora_forms(scenario: Scenario) -> Iterator[Contradiction]:
    """What peft's LoRA-FA and BD-LoRA need, and exclude (optimizers/lorafa.py; tuners/lora/variants.py)."""
    if names.LORA_FA in scenario.possible("optimizer"):
        if scenario.method not in names.LORA:
            yield Contradiction(
                "optimizer", "lora_fa trains LoRA's B alone", f"write method: {' or '.join(names.LORA)}"
            )
        if "b" in scenario.possible("lora.frozen"):
            message = "lora_fa leaves A as it is, and lora.frozen b leaves B so, too"
            yield Contradiction("lora.frozen", message, "delete lora.frozen")
    named = [name for name in ("lora.blocked_a", "lora.blocked_b") if name in scenario.fields]
    blocks = scenario.possible("lora.blocks")
    if named and (not blocks or 1 in blocks):
        yield Contradiction(named[0], f"{named[0]} needs lora.blocks, of 2 or more", "add lora.blocks")
    if blocks and 1 not in blocks and not named:
        yield Contradiction("lora.blocks", "no module is named whose matrices are blocks", "add lora.blocked_b")


def _unmerged(scenario: Scenario) -> Iterator[Contradiction]:
    """A model that answers has adapters beside its weights where a rank is said; merged ones are none."""
    said = [name for name in scenario.fields if name.startswith("lora.")]
    if said and not scenario.trains and "lora.rank" not in said:
        message = f"{said[0]} is of adapters, which a model that answers has where lora.rank says so"
        yield Contradiction(said[0], message, "add lora.rank; if they are merged into the weights, delete lora")


def _use_cache(scenario: Scenario) -> Iterator[Contradiction]:
    if scenario.trains and True in scenario.possible("use_cache"):
        message = "use_cache: true is what configs of models say, and trainers that turn it off do not ask"
        yield Contradiction("use_cache", message, "delete use_cache")


def _labels(scenario: Scenario) -> Iterator[Contradiction]:
    if "labels" not in scenario.fields:
        return
    heads = scenario.possible("head")
    if any("(" in str(head) for head in heads):
        yield Contradiction("labels", "the head says its number of labels too", "delete labels")
    elif any(head not in names.CLASSIFIERS for head in heads) or not heads:
        yield Contradiction("labels", "labels are for head sequence-classification", "delete labels, or add the head")


def _parallel(scenario: Scenario) -> Iterator[Contradiction]:
    gpus = scenario.fixed("parallel.gpus")
    strategies = scenario.possible("parallel.strategy")
    if isinstance(gpus, int) and gpus > 1 and (not strategies or "none" in strategies):
        yield Contradiction(
            "parallel.gpus",
            f"{gpus} GPUs need a strategy to share the run",
            f"add strategy: {' or '.join(list(names.STRATEGIES)[1:])}",
        )
    alone = gpus == 1 or "parallel.gpus" not in scenario.fields
    for strategy in strategies if alone else ():
        if strategy in ("ddp", "tensor", "pipeline"):
            repair = "delete strategy, or write how many" if gpus == 1 else "add gpus:"
            yield Contradiction("parallel.strategy", f"{strategy} is for several GPUs", repair)
    for name in ("parallel.returns_outputs", "parallel.stage_layers", "parallel.chunks", "parallel.optimizer_shards"):
        if scenario.fixed(name) is not None and "parallel.schedule" not in scenario.fields:
            yield Contradiction(name, "is for pipelines with a schedule", "add schedule: 1f1b, or delete it")
    for offload in scenario.possible("parallel.offload"):
        if offload is True and strategies == ("ddp",):
            yield Contradiction("parallel.offload", "ddp keeps all of a copy on its GPU", "delete offload")
        if offload is True and strategies in (("zero1",), ("zero2",)):
            yield Contradiction(
                "parallel.offload", f"{strategies[0]} keeps weights on the GPU", "write offload: optimizer"
            )
        if offload == "optimizer" and strategies and not set(strategies) <= set(names.DEEPSPEED):
            yield Contradiction(
                "parallel.offload", f"{strategies[0]} has no offloading of the optimizer alone", "write offload: true"
            )


def _peft(scenario: Scenario) -> Iterator[Contradiction]:
    method = PEFT_METHODS.get(scenario.method)
    if method is None:
        return
    for name, said in scenario.fields.items():
        option = name.removeprefix("peft.")
        if option != name and said.origin == "own" and scenario.method not in owners(option):
            yield Contradiction(name, f"{name} is for {', '.join(owners(option))}", f"delete {name}")
    for option, default in method.options.items():
        needed = default is None and option != "encoder_hidden_size"
        if needed and f"peft.{option}" not in scenario.fields:
            yield Contradiction("method", f"method {scenario.method} needs peft.{option}, which has no default")
    for weights in scenario.possible("weights"):
        if weights in names.QUANTIZED and not method.quantized and method.on == "linears":
            yield Contradiction("weights", f"peft has no {scenario.method} for {weights} weights", "write bf16")


def _engine(scenario: Scenario) -> Iterator[Contradiction]:
    for engine in names.ENGINES if scenario.trains else ():
        if engine in scenario.possible("stack.trainer"):
            yield Contradiction("stack.trainer", f"{engine} does not train, and method is {scenario.method}")


def _result(scenario: Scenario) -> Iterator[Contradiction]:
    trainers = scenario.possible("stack.trainer")
    if "stack.result" in scenario.fields and (not trainers or any(one != OWN_LOOP for one in trainers)):
        yield Contradiction("stack.result", f"stack.result is for stack.trainer {OWN_LOOP}", "delete stack.result")
    there, what = (TRAINED, "training") if scenario.trains else (DECODED, "inference")
    for result in scenario.possible("stack.result"):
        if result not in there:
            known = " or ".join(there)
            yield Contradiction("stack.result", f"a result is not held so in {what}: {result}", f"write {known}")


def _evaluation(scenario: Scenario) -> Iterator[Contradiction]:
    """Labels are given by a loop that calls the model itself, on whole rows of tokens."""
    if not set(scenario.possible("evaluation")) - {NO_LABELS}:
        return
    wanted: dict[str, tuple[Atom, bool]] = {
        "stack.trainer": (OWN_LOOP, True),
        "generated_length": (0, True),
        "head": ("causal-lm", False),
    }
    for name, (known, needed) in wanted.items():
        values = scenario.possible(name)
        if (needed and not values) or any(value != known for value in values):
            yield Contradiction("evaluation", f"evaluation is for {name} {known}", f"write {name}: {known}")


def _cache(scenario: Scenario) -> Iterator[Contradiction]:
    """What transformers' quantized caches refuse (cache_utils.py, QuantizedCache and its layers)."""
    kinds, backends = scenario.possible("cache.implementation"), scenario.possible("cache.backend")
    for trainer in scenario.possible("stack.trainer"):
        if trainer in (*names.ENGINES, "litgpt") and kinds and "dynamic" not in kinds:
            yield Contradiction("cache.implementation", f"{trainer} keeps keys and values in its own way")
    if "quantized" not in kinds:
        return
    backend = str(backends[0]) if len(backends) == 1 else "quanto" if not backends else ""
    axes = dict.fromkeys(("cache.axis_key", "cache.axis_value"), names.CACHE_AXES)
    wanted: dict[str, Mapping[str, tuple[int, ...]]] = {"cache.nbits": names.CACHE_BITS, **axes}
    for name, known in wanted.items():
        for value in scenario.possible(name):
            if backend in known and value not in known[backend]:
                able = " or ".join(str(one) for one in known[backend])
                yield Contradiction(name, f"{backend} has {name} {able}, not {value}")
    for name in (*wanted, "cache.q_group_size", "cache.residual_length"):
        if backend == "fp8" and name in scenario.fields:
            yield Contradiction(name, f"the fp8 backend has one scale for all, and no {name}", f"delete {name}")


RULES: tuple[Callable[[Scenario], Iterator[Contradiction]], ...] = (
    _weights_of_method,
    _dtypes,
    _optimizer,
    _lora_forms,
    _unmerged,
    _use_cache,
    _labels,
    _parallel,
    _peft,
    _engine,
    _cache,
    _result,
    _evaluation,
)
