"""From a scenario and a decision for each open field to a setting, by the rules of the stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, cast

from toolkit.spec.fields import names
from toolkit.spec.fields.evaluation import NO_LABELS
from toolkit.spec.fields.objective import GRPO
from toolkit.spec.fields.process import NONE
from toolkit.spec.fields.sampling import GREEDY
from toolkit.spec.fields.value import Atom, FieldValue, Fixed, Range, Reference
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.adapters import galore_of, kernels_of, lora_of, peft_of
from toolkit.spec.settings.cache import cache_of, keeps_none, lengths_of, names_before
from toolkit.spec.settings.objective import objective_of
from toolkit.spec.settings.profiles import profile_of
from toolkit.spec.settings.setting import Cache, Kernels, Lora, Parallel, Peft, Run, Setting, Stack, Zero
from toolkit.spec.settings.stack_rules import MEGATRON, checkpointing_form, compute_dtype, states_dtype
from toolkit.spec.settings.validation import validation_of

_LABELLED = re.compile(r"(.+)\(([0-9]+)\)")
_CLASSIFIER_LABELS = 2  # transformers' PretrainedConfig.num_labels
_OFF: Mapping[str, Atom] = {
    "head": "causal-lm",
    "generated_length": 0,
    "gradient_accumulation": 1,
    "gradient_checkpointing": False,
    "optimizer": "none",
    "optimizer_implementation": "fused",
    "double_quant": False,
    "amp": False,
    "padding": False,
    "warmup": False,
    "evaluation": NO_LABELS,
    "sampling": GREEDY,
    "attention": "sdpa",
    "lora.dropout": 0.0,
    "parallel.gpus": 1,
    "parallel.strategy": "none",
    "parallel.offload": False,
    "parallel.reshard_after_forward": True,
    "parallel.backward_prefetch": "pre",
    "parallel.buckets": "deepspeed",
    "parallel.contiguous_gradients": True,
    "stack.trainer": "transformers",
    "stack.loss": "cross-entropy",
}
"""The values of fields that neither the document nor the profile of the task states."""


_COUNTS = frozenset(("batch_size", "sequence_length", "generated_length", "gradient_accumulation"))
"""Fields that no other field depends on: decisions that differ in these alone share everything else."""


_WIDE = "fp32"
_BYTES = "uint8"
"""The default of bitsandbytes' bnb_4bit_quant_storage."""


class UnresolvedError(ValueError):
    """A scenario still refers to values of the document, so that it has no setting yet."""


def decide(scenario: Scenario, given: Mapping[str, Atom]) -> Setting:
    """The setting of a scenario at a decision; an open field without one takes its first option."""
    return deciding(scenario)(given)


def deciding(scenario: Scenario) -> Callable[[Mapping[str, Atom]], Setting]:
    """`decide` for many decisions about one scenario: what they share is computed once."""
    undecided: dict[str, Atom] = {}
    composed: dict[tuple[tuple[str, Atom], ...], _Composed] = {}

    def decide_so(given: Mapping[str, Atom]) -> Setting:
        if not undecided:
            undecided.update(_undecided(scenario))
        said = {**undecided, **given}
        key = tuple([(name, value) for name, value in given.items() if name not in _COUNTS])
        if key not in composed:
            composed[key] = _composed(said)
        return _setting(said, composed[key])

    return decide_so


class _Dtypes(NamedTuple):
    """The dtypes of a setting, and the adapters, whose dtype others follow."""

    compute: str
    amp: bool
    master: str | None
    lora: Lora | None
    peft: Peft | None
    gradients: str
    states: str


class _Composed(NamedTuple):
    """The parts of a setting that depend on several fields, none of them one of `_COUNTS`."""

    dtypes: _Dtypes
    head: tuple[str, int]
    stack: Stack
    parallel: Parallel
    kernels: Kernels
    cache: Cache | None
    run: Run
    engine: Mapping[str, str | int | float | bool]


def _composed(said: Mapping[str, Atom]) -> _Composed:
    stack = _stack(said)
    return _Composed(
        _dtypes(said, stack),
        _head(said),
        stack,
        _parallel(said),
        kernels_of(said),
        cache_of(said),
        Run(cast("int | None", said.get("run.examples")), cast("int | None", said.get("run.epochs"))),
        {name: value for name, value in _group(said, "engine.") if value is not None},
    )


def _setting(said: Mapping[str, Atom], composed: _Composed) -> Setting:
    """The setting with these values of fields."""
    dtypes, stack = composed.dtypes, composed.stack
    head, labels = composed.head
    trains = said["method"] != "inference"
    length, generated = lengths_of(said)
    objective, reference = objective_of(said)
    return Setting(
        model=str(said["model"]),
        method=str(said["method"]),
        weights=str(said["weights"]),
        head=head,
        labels=labels,
        double_quant=bool(said["double_quant"]) and said["weights"] in names.DOUBLE_QUANTIZED,
        group_size=cast("int", said.get("group_size", 128)),
        desc_act=bool(said.get("desc_act")),
        compute=dtypes.compute,
        amp=dtypes.amp,
        upcast=cast("bool | None", said.get("upcast")) if trains else None,
        master_weights=dtypes.master,
        gradients=dtypes.gradients,
        optimizer=str(said["optimizer"]) if trains else "none",
        optimizer_implementation=str(said["optimizer_implementation"]),
        optimizer_states=dtypes.states,
        optimizer_in_backward=trains and (bool(said.get("optimizer_in_backward")) or said["optimizer"] in names.LOMO),
        activation_offloading=bool(said.get("activation_offloading")) and trains,
        batch_size=_whole(said["batch_size"]),
        sequence_length=length,
        generated_length=generated,
        gradient_accumulation=_whole(said["gradient_accumulation"]) if trains else 1,
        gradient_checkpointing=_checkpointing(said["gradient_checkpointing"], stack) if trains else "false",
        padding=bool(said["padding"]),
        packing=str(said.get("packing", "none")) if trains else "none",
        samples_per_row=cast("int", said.get("samples_per_row", 1)) if trains else 1,
        warmup=(bool(said["warmup"]) or names_before(said)) and not trains,
        evaluation=NO_LABELS if trains else str(said["evaluation"]),
        validation=validation_of(said, length),
        sampling=GREEDY if trains else str(said["sampling"]),
        objective=objective,
        reference=reference,
        answer_length=cast("int", said.get("answer_length", 0)) if objective == GRPO else 0,
        attention=str(said["attention"]),
        loading=cast("str | None", said.get("loading")),
        checkpoint_dtype=cast("str | None", said.get("checkpoint_dtype")),
        earlier_passes=str(said.get("earlier_passes", NONE)),
        expandable_segments=bool(said.get("expandable_segments")),
        lora=dtypes.lora,
        peft=dtypes.peft,
        galore=galore_of(said),
        kernels=composed.kernels,
        cache=composed.cache if composed.cache is not None and not trains else None,
        uncached=keeps_none(said) or (trains and said.get("use_cache") is False),
        parallel=composed.parallel,
        gpu=cast("str | None", said.get("gpu")),
        stack=stack,
        engine=composed.engine,
        run=composed.run,
    )


def _undecided(scenario: Scenario) -> dict[str, Atom]:
    """A value for every field before any decision: the stated one, else the assumed one, else that of `_OFF`."""
    if scenario.unresolved:
        raise UnresolvedError(
            f"{', '.join(scenario.unresolved)} of {scenario.name} are still to be read from the document"
        )
    said = dict(_OFF)
    for assumption in profile_of(scenario).assumptions:
        if assumption.name not in scenario.fields and (options := assumption.options(scenario)):
            said[assumption.name] = options.low if isinstance(options, Range) else options[0]
    return said | {name: _first(field.value) for name, field in scenario.fields.items()}


def _first(value: FieldValue) -> Atom:
    """The first value that a field may have; a reference has none until its document is read."""
    assert not isinstance(value, Reference)
    if isinstance(value, Fixed):
        return value.value
    return value.low if isinstance(value, Range) else value.values[0]


def _dtypes(said: Mapping[str, Atom], stack: Stack) -> _Dtypes:
    method, weights = str(said["method"]), str(said["weights"])
    trains = method != "inference"
    amp = bool(said["amp"]) and trains
    compute = str(said.get("compute") or compute_dtype(weights, amp=amp))
    lora = lora_of(said, method, stack, weights, compute)
    peft = peft_of(said, method, stack, weights, compute)
    if not trains:
        return _Dtypes(compute, amp, None, lora, peft, "none", "none")
    trained = (peft.dtype if peft else lora and lora.dtype) or weights
    wide = _WIDE if stack.trainer == MEGATRON else None  # with --bf16 all three, whatever is trained
    master = cast("str | None", said.get("master_weights", wide))
    gradients = str(said.get("gradients") or wide or trained)
    states = str(said.get("optimizer_states") or wide or states_dtype(str(said["optimizer"]), trained, master))
    return _Dtypes(compute, amp, master, lora, peft, gradients, states)


def _parallel(said: Mapping[str, Atom]) -> Parallel:
    gpus, strategy = _whole(said["parallel.gpus"]), str(said["parallel.strategy"])
    zero = _zero(said) if strategy in names.DEEPSPEED else None
    reshards = bool(said["parallel.reshard_after_forward"]) or strategy not in ("fsdp", "fsdp2")
    whole = _loads_whole(said, strategy)
    offload = cast("bool | str", said["parallel.offload"])
    of_fsdp = said if strategy == "fsdp" else {}
    limits = cast("bool | None", of_fsdp.get("parallel.limit_all_gathers"))
    syncs = cast("bool | None", of_fsdp.get("parallel.sync_module_states"))
    ahead = str(of_fsdp.get("parallel.backward_prefetch", "pre"))
    tensors = cast("bool | None", of_fsdp.get("parallel.use_orig_params"))
    schedule = cast("str | None", said.get("parallel.schedule")) if strategy == "pipeline" else None
    layers = cast("tuple[str, ...]", said.get("parallel.stage_layers") or ())
    packed = str(said["weights"]) in names.DOUBLE_QUANTIZED and strategy in names.SHARDS_WEIGHTS
    storage = said.get("parallel.quant_storage") or (None if strategy == "fsdp" else _BYTES)
    return Parallel(
        gpus, strategy, offload, zero, reshards, whole, limits, syncs, ahead,
        quant_storage=cast("str | None", storage) if packed else None, use_orig_params=tensors,
        wraps_embeddings=bool(of_fsdp.get("parallel.wraps_embeddings")),
        schedule=schedule, returns_outputs=bool(said.get("parallel.returns_outputs", True)) or schedule is None,
        stage_layers=tuple(map(int, layers)) if schedule is not None else (),
        chunks=_whole(said.get("parallel.chunks") or 1) if schedule is not None else 1,
        optimizer_shards=_whole(said.get("parallel.optimizer_shards") or 1) if schedule is not None else 1,
        tensor_parallel=_whole(said.get("parallel.tensor_parallel") or 1),
    )  # fmt: skip


def _loads_whole(said: Mapping[str, Atom], strategy: str) -> bool:
    """Whether every GPU has all weights first: packed ones with fsdp2 and ZeRO 3, unless it is said otherwise.

    transformers quantizes on the GPU that is current where no device_map is said (quantizer_bnb_4bit.py,
    update_device_map), and so does TRL (trainer/utils.py, get_kbit_device_map). It leaves out zero.Init for what is
    quantized (modeling_utils.py, get_init_context).
    """
    whole = said.get("parallel.loads_whole")
    if strategy in ("fsdp2", "zero3") and whole is None:
        return str(said["weights"]) in names.DOUBLE_QUANTIZED
    return bool(whole) and strategy in names.SHARDS_WEIGHTS


def _zero(said: Mapping[str, Atom]) -> Zero:
    said_of = [one.name for one in fields(Zero) if said.get(f"parallel.{one.name}") is not None]
    return Zero(**{name: cast("Any", said[f"parallel.{name}"]) for name in said_of})


def _stack(said: Mapping[str, Atom]) -> Stack:
    versions = {package: str(value) for package in names.PACKAGES if (value := said.get(f"stack.{package}"))}
    result = cast("str | None", said.get("stack.result"))
    return Stack(str(said["stack.trainer"]), str(said["stack.loss"]), versions, result)


def _head(said: Mapping[str, Atom]) -> tuple[str, int]:
    head, labels = str(said["head"]), said.get("labels")
    if with_labels := _LABELLED.fullmatch(head):
        return with_labels[1], int(with_labels[2])
    if head not in names.CLASSIFIERS:
        return head, 0
    return head, _whole(labels) if labels is not None else _CLASSIFIER_LABELS


def _checkpointing(value: Atom, stack: Stack) -> str:
    if value is True:
        return checkpointing_form(stack.trainer, stack.versions)
    return str(value) if value else "false"


def _group(said: Mapping[str, Atom], prefix: str) -> Iterator[tuple[str, str | int | float | bool | None]]:
    for name, value in said.items():
        if name.startswith(prefix) and not isinstance(value, tuple):
            yield name.removeprefix(prefix), value


def _whole(value: Atom) -> int:
    assert isinstance(value, int)
    return value
