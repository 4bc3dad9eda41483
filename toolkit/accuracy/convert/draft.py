"""A run on its way from published records to a line: what a scenario can say of it, and what it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.accuracy.convert.vocabulary import gpu_of, model_of, versions_of, vocabulary, word
from toolkit.spec.fields.registry import FIELDS

Record = Mapping[str, Any]
_SPACED = re.compile(r"[A-Za-z_][\w.]*( [A-Za-z_][\w.]*)*")
MAX_REMARK = 120


@dataclass(slots=True)
class Draft:
    """Fields of a scenario by flat name, and beside them what no field can say."""

    fields: dict[str, Any] = field(default_factory=dict)
    beyond: dict[str, str] = field(default_factory=dict)

    def say(self, name: str, value: Any) -> None:
        """Says a field, unless there is nothing to say."""
        if value is not None:
            self.fields[name] = value

    def say_as(self, name: str, table: str, published: str | None) -> None:
        """Says a field by the word that the table has for a published one; a word that it lacks stays beyond."""
        if published is None:
            return
        meant = word(table, published)
        if meant is None:
            self.beyond[name] = published[:MAX_REMARK]
        else:
            self.fields[name] = meant

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
    draft.say("gpu", gpu_of(record["gpu"]))
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
    draft.say_as("method", "methods", record["task"].partition(", memory component")[0])


def _weights(draft: Draft, record: Record) -> None:
    """The storage: by the quantization where it says one, else by the dtype."""
    for published in (record["quantization"], record["weight_dtype"]):
        if word("weights", published) is not None:
            draft.say("weights", word("weights", published))
            break
        if word("masters", published) is not None:
            draft.say("weights", word("masters", published))
            draft.say("master_weights", "fp32")
            break
    else:
        named = record["quantization"] or record["weight_dtype"]
        if named is not None and named not in vocabulary()["open_weights"]:
            draft.beyond["weights"] = named[:MAX_REMARK]


def _numerics(draft: Draft, record: Record) -> None:
    compute = record["compute_dtype"]
    draft.say("compute", word("compute", compute))
    if compute in vocabulary()["autocast"]:
        draft.say("amp", True)
    if draft.fields.get("method") != "inference":
        draft.say_as("optimizer", "optimizers", record["optimizer"])
        draft.say("optimizer_implementation", word("implementations", record["optimizer"]))
        checkpointing = record["gradient_checkpointing"]
        if isinstance(checkpointing, str) and checkpointing != "full":
            draft.beyond["gradient_checkpointing"] = checkpointing
        elif checkpointing is not None:
            draft.say("gradient_checkpointing", bool(checkpointing))


def _workload(draft: Draft, record: Record) -> None:
    draft.say("batch_size", record["batch_size"])
    draft.say("sequence_length", record["seq_len"])
    if draft.fields.get("method") == "inference":
        draft.say("generated_length", record["gen_len"])
    else:
        draft.say("gradient_accumulation", record["grad_accum"])
    draft.say("attention", word("attention", record["attn_impl"]))


def _adapters(draft: Draft, lora: Record) -> None:
    draft.say("lora.rank", lora.get("r"))
    if lora.get("alpha") is not None:
        draft.say("lora.alpha", int(float(lora["alpha"])))
    if lora.get("dropout") is not None:
        draft.say("lora.dropout", float(lora["dropout"]))
    targets = lora.get("targets")
    if isinstance(targets, list):
        draft.say("lora.targets", sorted(targets))
    elif isinstance(targets, str) and word("targets", targets) is not None:
        draft.say("lora.targets", word("targets", targets))
    elif isinstance(targets, str) and _SPACED.fullmatch(targets):
        draft.say("lora.targets", sorted(targets.split()))
    elif isinstance(targets, str):
        draft.beyond["lora.targets"] = targets[:MAX_REMARK]
    for name in ("modules_to_save", "target_parameters"):
        if lora.get(name):
            draft.beyond[f"lora.{name}"] = ", ".join(lora[name])[:MAX_REMARK]


def _parallel(draft: Draft, spread: Record) -> None:
    gpus, kind = spread.get("gpus"), spread.get("kind") or "none"
    strategy = word("strategies", kind)
    if strategy is None or gpus is None:
        draft.beyond["parallel"] = f"{gpus or 'several'} GPUs, {kind}"[:MAX_REMARK]
    elif (gpus, strategy) != (1, "none"):
        draft.say("parallel.gpus", gpus)
        draft.say("parallel.strategy", strategy)
        if kind in vocabulary()["offloads"]:
            draft.say("parallel.offload", True)
