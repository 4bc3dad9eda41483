"""A run on its way from published records to a line: what a scenario can say of it, and what it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from toolkit.accuracy.convert.form import Record
from toolkit.accuracy.convert.vocabulary import gpu_of, model_of, versions_of, vocabulary, word
from toolkit.accuracy.convert.words import (
    attention_of,
    compute_of,
    implementation_of,
    is_default_optimizer,
    method_of,
    optimizer_of,
    strategy_of,
    weights_of,
)
from toolkit.spec.fields.registry import FIELDS

__all__ = ["MAX_REMARK", "Draft", "Record", "draft_of"]

_SPACED = re.compile(r"[A-Za-z_][\w.]*( [A-Za-z_][\w.]*)*")
MAX_REMARK = 120


@dataclass(slots=True)
class Draft:
    """Fields of a scenario by flat name, and beside them what no field can say.

    A run with anything `beyond` is not estimated. `unread` is what a record says and this toolkit has no word for, of
    fields that stay open: an estimate then is of all that they may be. `notes` are what was taken for what.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    beyond: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def say(self, name: str, value: Any) -> None:
        """Says a field, unless there is nothing to say."""
        if value is not None:
            self.fields[name] = list(value) if isinstance(value, tuple) else value

    def say_read(self, name: str, published: str | None, meant: Any) -> None:
        """Says a field by what a published word means; a word without a meaning stays beyond."""
        if published is None:
            return
        if meant is None:
            self.beyond[name] = published[:MAX_REMARK]
        else:
            self.say(name, meant)

    def leave_open(self, name: str, published: str | None, meant: Any) -> None:
        """The same, but that a word without a meaning leaves the field open."""
        if published is not None and meant is None and "not stated" not in published.casefold():
            self.unread[name] = published[:MAX_REMARK]
        self.say(name, meant)

    def scenario(self) -> dict[str, Any]:
        """The scenario as it is written: fields in their usual order, those of a group in its mapping."""
        written: dict[str, Any] = {}
        for name in FIELDS:
            if name in self.fields:
                group, _, inner = name.rpartition(".")
                (written.setdefault(group, {}) if group else written)[inner] = self.fields[name]
        return written


def draft_of(record: Record) -> Draft:
    """What every source says in the same way."""
    draft = Draft()
    _model(draft, record)
    _weights(draft, record)
    _numerics(draft, record)
    _workload(draft, record)
    if record["lora"] and draft.fields.get("method") != "full":
        _adapters(draft, record["lora"])
    _parallel(draft, record["parallelism"] or {})
    draft.leave_open("gpu", record["gpu"], gpu_of(record["gpu"]))
    for package, version in versions_of(record["versions"] or {}).items():
        draft.say(f"stack.{package}", version)
    return draft


def _model(draft: Draft, record: Record) -> None:
    name = record["model"] or record["model_as_published"]
    model = model_of(name)
    if isinstance(model, str) and "/" not in model:
        draft.beyond["model"] = name[:MAX_REMARK]
    else:
        draft.say("model", model)
        if isinstance(model, str) and model != name:
            draft.notes.append(f"{name} for {model}")
    task = record["task"].partition(", memory component")[0]
    draft.say_read("method", task, method_of(task))


def _weights(draft: Draft, record: Record) -> None:
    """The storage: by the quantization where it says one, else by the dtype."""
    for published in (record["quantization"], record["weight_dtype"]):
        if word("masters", published) is not None:
            draft.say("weights", word("masters", published))
            draft.say("master_weights", "fp32")
            break
        if weights_of(published) is not None:
            draft.say("weights", weights_of(published))
            break
    else:
        named = record["quantization"] or record["weight_dtype"]
        if named is not None and named not in vocabulary()["open_weights"]:
            draft.beyond["weights"] = named[:MAX_REMARK]


def _numerics(draft: Draft, record: Record) -> None:
    compute, autocast = compute_of(record["compute_dtype"])
    if compute is not None or not autocast:
        draft.leave_open("compute", record["compute_dtype"], compute)
    if autocast and draft.fields.get("method") != "inference":
        draft.say("amp", True)
    if draft.fields.get("method") != "inference":
        if record["optimizer"] is not None and not is_default_optimizer(record["optimizer"]):
            draft.say_read("optimizer", record["optimizer"], optimizer_of(record["optimizer"]))
        draft.say("optimizer_implementation", implementation_of(record["optimizer"]))
        checkpointing = record["gradient_checkpointing"]
        if isinstance(checkpointing, str) and checkpointing != "full":
            draft.beyond["gradient_checkpointing"] = checkpointing[:MAX_REMARK]
        elif checkpointing is not None:
            draft.say("gradient_checkpointing", bool(checkpointing))


def _workload(draft: Draft, record: Record) -> None:
    draft.say("batch_size", record["batch_size"])
    draft.say("sequence_length", record["seq_len"])
    if draft.fields.get("method") == "inference":
        draft.say("generated_length", record["gen_len"])
    else:
        draft.say("gradient_accumulation", record["grad_accum"])
    draft.leave_open("attention", record["attn_impl"], attention_of(record["attn_impl"]))


def _adapters(draft: Draft, lora: Record) -> None:
    _say_number(draft, "lora.rank", lora.get("r"), int)
    _say_number(draft, "lora.alpha", lora.get("alpha"), lambda value: int(float(value)))
    _say_number(draft, "lora.dropout", lora.get("dropout"), float)
    targets = lora.get("targets")
    if isinstance(targets, list) and all(isinstance(one, str) for one in targets):
        draft.say("lora.targets", sorted(targets))
    elif isinstance(targets, str) and word("targets", targets) is not None:
        draft.say("lora.targets", word("targets", targets))
    elif isinstance(targets, str) and _SPACED.fullmatch(targets):
        draft.say("lora.targets", sorted(targets.split()))
    elif targets is not None:
        draft.beyond["lora.targets"] = str(targets)[:MAX_REMARK]
    for name in ("modules_to_save", "target_parameters"):
        if not lora.get(name):
            continue
        listed = lora[name] if isinstance(lora[name], list) else [lora[name]]
        if name == "modules_to_save" and all(isinstance(one, str) for one in listed):
            draft.say("lora.modules_to_save", listed)
        else:
            draft.beyond[f"lora.{name}"] = ", ".join(map(str, listed))[:MAX_REMARK]


def _say_number(draft: Draft, name: str, value: Any, read: Callable[[Any], float]) -> None:
    try:
        draft.say(name, None if value is None else read(value))
    except (TypeError, ValueError, OverflowError):
        draft.beyond[name] = str(value)[:MAX_REMARK]


def _parallel(draft: Draft, spread: Record) -> None:
    gpus, kind = spread.get("gpus"), spread.get("kind") or "none"
    if gpus is None and kind == "none":
        return
    strategy, offloads = strategy_of(kind)
    if strategy is None or gpus is None:
        draft.beyond["parallel"] = f"{gpus or 'several'} GPUs, {kind}"[:MAX_REMARK]
    elif (gpus, strategy) != (1, "none"):
        draft.say("parallel.gpus", gpus)
        draft.say("parallel.strategy", strategy)
        if offloads:
            draft.say("parallel.offload", True)
