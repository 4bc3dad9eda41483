"""What the records of fms-acceleration mean: TRL's trainer, with parts of it replaced by the framework's plugins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record
from toolkit.accuracy.convert.vocabulary import checkpoint_groups

_FRAMEWORK = re.compile(r"\bframework_config=([^\s;,]+)")

_STOCK = ("none", "baseline-peft-bnb")

_UNPINNED = {
    "torch": "2.2.2",
    "transformers": "4.39.3",
    "peft": "0.11.1",
    "bitsandbytes": "0.43.1",
    "trl": "0.8.6",
}
"""Releases of the runs of May and June 2024 that state none: the project required torch 2.2 and transformers before
4.40 (plugins/framework/pyproject.toml of those commits); the others are the newest of the first of those days."""

_FREE, _MULTIPACK, _ATTENTION_ALONE = "-padding-free", "-multipack", "aadp"
"""Plugins of attention-and-distributed-packing: one row of all samples of a batch, and batches with as many tokens as
that has on the mean (multipack_sampler.py); nothing else is replaced."""

_EXPERTS = "moe-scattermoe-granite-ep1"
"""The plugin accelerated-moe without expert parallelism. On several GPUs FSDP leaves out what it puts in, and from
transformers 4.49 on the loss that fused-ops-and-kernels would replace beside it is no longer there to replace."""

_BY_FSDP = f"FSDP + expert parallel {_EXPERTS}"

_LOSS_IN_MODELS = "5b35eae"

_PLUGINS: Mapping[str, Mapping[str, Any]] = {
    "accelerated-peft-bnb": {"upcast": False},
    "accelerated-peft-autogptq": {"kernels.gptq": "triton"},
    _ATTENTION_ALONE: {},
    _EXPERTS: {"kernels.experts": "scattermoe"},
}
"""What accelerated-peft changes (sample-configurations/CONTENTS.yaml): framework_plugin_bnb.py prepares a model without
casts, framework_plugin_autogptq.py runs triton v2."""

_FAST: Mapping[str, Any] = {"stack.loss": "in-place", "kernels.norm": True, "kernels.rotary": True}
"""What fused-ops-and-kernels changes, beside adapters of quantized models (framework_plugin_fast_kernels.py)."""

_FOAK, _ALONE, _LIGER = "-foak", "foak-fast-kernels", "-liger"

_LIGER_LOSS: Mapping[str, Any] = {"stack.loss": "fused", "stack.liger-kernel": "0.3.1"}
"""The loss of those configurations; its code is a copy of that of Liger 0.3.1 (fused_ops/liger_ce)."""

_MASKS = ("9239802", "733992a", "24bdadb")
"""Commits since d767e33, of November 2024, when fused adapters with dropout were corrected."""

_WHOLE_FIRST = ("f1895b7",)
"""Commits whose framework_plugin_autogptq.py loads a model to each GPU (device_map) before FSDP shares it out."""

_ONLY_LOSS = "bigcode/gpt_bigcode-santacoder"
"""The model of which fused-ops-and-kernels replaces the loss alone (models/gpt_bigcode.py)."""

_MIXED = "-peft-"
"""In the names of frameworks whose every run is given bf16 or fp16 (scripts/benchmarks/scenarios*.yaml), and that
refuse to be without (framework_plugin_bnb.py, augmentation). Of the tables, that of commit 24bdadb says TRUE, and that
of ff14d4f has no column for it."""

_ALL_MIXED = "ff14d4f"
"""The commit whose table has no column for it, and whose every scenario is given bf16 (scenarios-granite.yaml)."""

_MEAN = re.compile(r" = ([0-9]+) tokens/sample")
"""Tokens of a batch, with what fills it up, by its samples: the mean of a run, worked out from its speeds.

The fullest batch of a run has at least as many; of multipack's none has more.
"""

_CAP = 4096
"""The longest sample (scripts/benchmarks/defaults.yaml and sft_trainer.py, max_seq_length)."""


def fms(draft: Draft, record: Record, _reading: dict[str, Any]) -> None:
    """TRL's trainer; what plugins do that no field can say stays beyond."""
    kernels = framework_of(record)
    mean = _MEAN.search(record["notes"] or "")
    if mean and "sequence_length" not in draft.fields:
        least = 1 if _MULTIPACK in kernels else int(mean[1])
        draft.say("sequence_length", {"from": least, "to": _CAP})
    draft.say("stack.trainer", "trl")
    for package, version in () if record["versions"] else _UNPINNED.items():
        draft.say(f"stack.{package}", version)
    draft.say("optimizer_implementation", "foreach")
    if draft.fields.get("weights") == "nf4":
        draft.say("double_quant", True)
    draft.say("group_size", checkpoint_groups(record["model_as_published"]))
    if (record["source"].get("commit") or "").startswith(_ALL_MIXED):
        draft.say("amp", True)
    elif record["compute_dtype"] in ("float16", "bfloat16"):
        draft.say("amp", False)
    say_framework(draft, record)


def framework_of(record: Record) -> str:
    """The configuration of fms-acceleration that a record's notes name; empty where they name none."""
    framework = _FRAMEWORK.search(record["notes"] or "")
    return framework[1] if framework else ""


def say_framework(draft: Draft, record: Record) -> None:
    """Says what the plugins of such a configuration replace, whoever ran it, and that some need autocast."""
    kernels = framework_of(record)
    if kernels not in ("", *_STOCK):
        _plugins(draft, record, kernels)
    if _MIXED in kernels:
        draft.say("amp", True)


_IGNORED, _IGNORED_AT = (
    "FSDP was told to ignore the adapted layers in whole, which the next commit puts right",
    "8103238",
)
"""fms_acceleration_foak, lora_adapters_switch_ddp_from_fsdp, until 00febdc (pull request 31)."""


def _plugins(draft: Draft, record: Record, kernels: str) -> None:
    """What the plugins of a configuration replace."""
    named, liger = kernels, kernels.endswith(_LIGER)
    kernels = kernels.removesuffix(_LIGER).removesuffix(_MULTIPACK)
    free, kernels = _FREE in kernels, kernels.replace(_FREE, "")
    base = kernels.removesuffix(_FOAK)
    _say_fsdp(draft, record, base)
    if (kernels != _ALONE and base not in _PLUGINS) or (base == _EXPERTS and _unfollowed(draft, record, kernels)):
        draft.beyond["kernels"] = named
        return
    if free:
        draft.say("packing", "padding-free")
    changed = dict(_PLUGINS.get(base, {}))
    if (
        base != kernels
        and (record["source"].get("commit") or "").startswith(_IGNORED_AT)
        and "parallel.gpus" in draft.fields
    ):
        draft.beyond["parallel"] = _IGNORED
    if base != kernels or kernels == _ALONE:
        changed |= _FAST
        if record["model_as_published"] == _ONLY_LOSS:
            changed = {name: value for name, value in changed.items() if name not in ("kernels.norm", "kernels.rotary")}
        if base not in (kernels, _EXPERTS):
            masks = (record["source"].get("commit") or "").startswith(_MASKS)
            changed["kernels.adapters"] = "masked" if masks else "unsloth"
    if "kernels.gptq" in changed and (record["source"].get("commit") or "").startswith(_WHOLE_FIRST):
        changed |= {"parallel.loads_whole": True} if draft.fields.get("parallel.strategy") == "fsdp" else {}
    if liger:
        changed |= _LIGER_LOSS
    for name, value in changed.items():
        draft.say(name, value)


def _say_fsdp(draft: Draft, record: Record, base: str) -> None:
    """With a degree of one no expert lies on one GPU alone: FSDP is all that shares the run out."""
    if base == _EXPERTS and draft.beyond.get("parallel", "").endswith(_BY_FSDP):
        del draft.beyond["parallel"]
        draft.say("parallel.gpus", record["parallelism"]["gpus"])
        draft.say("parallel.strategy", "fsdp")


def _unfollowed(draft: Draft, record: Record, kernels: str) -> bool:
    """Whether scattered experts stand beside something that no field says."""
    several = "parallel.gpus" in draft.fields and draft.fields.get("parallel.strategy") != "fsdp"
    replaces = kernels.endswith(_FOAK) and not (record["source"].get("commit") or "").startswith(_LOSS_IN_MODELS)
    return several or "parallel" in draft.beyond or replaces
