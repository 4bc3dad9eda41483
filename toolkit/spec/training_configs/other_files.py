"""Files that are found beside a trainer's configuration but are not one: what each is, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.finding import Finding, Place
from toolkit.spec.yaml.node import Entries, Scalar

_ACCELERATE = ("compute_environment", "distributed_type")
_STRATEGIES = {"MULTI_GPU": "ddp", "FSDP": "fsdp", "DEEPSPEED": "zero"}


def other_file(entries: Entries, shown: str) -> Finding | None:
    """A finding that says what a file is which no reader here accepts; None where a reader may accept it."""
    for is_one, told in _KINDS.items():
        if is_one(entries):
            message, repair = told(entries)
            return Finding(Place(shown), "S105", f"this is {message}", repair)
    return None


def _is_accelerate(entries: Entries) -> bool:
    return all(key in entries for key in _ACCELERATE)


def _accelerate(entries: Entries) -> tuple[str, str]:
    gpus = _text(entries, "num_processes")
    flags = [f"--parallel-gpus {gpus}" if gpus.isdecimal() else "--parallel-gpus N"]
    if strategy := _strategy(entries):
        flags.append(f"--parallel-strategy {strategy}")
    return (
        "a configuration of `accelerate launch`: it says how a run is spread, and not what is trained",
        f"name the trainer's configuration, and add {' '.join(flags)}",
    )


def _strategy(entries: Entries) -> str:
    name = _STRATEGIES.get(_text(entries, "distributed_type"), "")
    if name == "fsdp":
        return "fsdp2" if _text(entries, "fsdp_config", "fsdp_version") == "2" else "fsdp"
    if name == "zero":
        stage = _text(entries, "deepspeed_config", "zero_stage")
        return f"zero{stage}" if stage in ("1", "2", "3") else ""
    return name


def _is_deepspeed(entries: Entries) -> bool:
    return "zero_optimization" in entries


def _deepspeed(entries: Entries) -> tuple[str, str]:
    stage = _text(entries, "zero_optimization", "stage")
    strategy = f"zero{stage}" if stage in ("1", "2", "3") else "zero1, zero2 or zero3"
    return (
        "a configuration of DeepSpeed: it says how a run is spread, and not what is trained",
        f"name the trainer's configuration, and add --parallel-gpus N --parallel-strategy {strategy}",
    )


def _is_adapter(entries: Entries) -> bool:
    return "peft_type" in entries and "base_model_name_or_path" in entries


def _adapter(entries: Entries) -> tuple[str, str]:
    model = _text(entries, "base_model_name_or_path")
    return (
        "peft's adapter_config.json: it says which adapters a model has, and not how they are trained",
        f"name the trainer's configuration, or say --model {model or 'ORGANISATION/NAME'} --method and --lora-rank",
    )


def _is_model(entries: Entries) -> bool:
    return "model_type" in entries and ("architectures" in entries or "hidden_size" in entries)


def _model(_: Entries) -> tuple[str, str]:
    return "a model's config.json, which says nothing of a run", "give it as --model, with --method"


_KINDS: Mapping[Callable[[Entries], bool], Callable[[Entries], tuple[str, str]]] = {
    _is_accelerate: _accelerate,
    _is_deepspeed: _deepspeed,
    _is_adapter: _adapter,
    _is_model: _model,
}


def _text(entries: Entries, key: str, inner: str = "") -> str:
    """The text of a key, or of a key inside it; empty where the value is not a scalar."""
    node = entries.get(key)
    if inner:
        node = node.get(inner) if isinstance(node, Entries) else None
    return str(node) if isinstance(node, Scalar) else ""
