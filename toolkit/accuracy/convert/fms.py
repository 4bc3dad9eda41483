"""What the records of fms-acceleration mean: TRL's trainer, with parts of it replaced by the framework's plugins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record

_FRAMEWORK = re.compile(r"framework_config=(\S+)")

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

_PLUGINS: Mapping[str, Mapping[str, Any]] = {
    "accelerated-peft-bnb": {"upcast": False},
    "accelerated-peft-autogptq": {"kernels.gptq": "triton"},
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

_ONLY_LOSS = "bigcode/gpt_bigcode-santacoder"
"""The model of which fused-ops-and-kernels replaces the loss alone (models/gpt_bigcode.py)."""

_MIXED = "-peft-"
"""In the names of frameworks whose every run is given bf16 or fp16 (scripts/benchmarks/scenarios*.yaml), and that
refuse to be without (framework_plugin_bnb.py, augmentation). Of the tables, that of commit 24bdadb says TRUE, and that
of ff14d4f has no column for it."""

_ALL_MIXED = "ff14d4f"
"""The commit whose table has no column for it, and whose every scenario is given bf16 (scenarios-granite.yaml)."""

_WITHOUT_GROUPS = ("TheBloke/Mixtral-8x7B-Instruct-v0.1-GPTQ", "TheBloke/Llama-2-70B-GPTQ")
"""Checkpoints whose main branch has no groups (GS None): one scale for all inputs of an output."""


def fms(draft: Draft, record: Record, _reading: dict[str, Any]) -> None:
    """TRL's trainer; what plugins do that no field can say stays beyond."""
    framework = _FRAMEWORK.match(record["notes"] or "")
    kernels = framework[1] if framework else ""
    if kernels not in _STOCK:
        _plugins(draft, record, kernels)
    draft.say("stack.trainer", "trl")
    for package, version in () if record["versions"] else _UNPINNED.items():
        draft.say(f"stack.{package}", version)
    draft.say("optimizer_implementation", "foreach")
    if draft.fields.get("weights") == "nf4":
        draft.say("double_quant", True)
    if record["model_as_published"] in _WITHOUT_GROUPS:
        draft.say("group_size", -1)
    if _MIXED in kernels or record["source"]["commit"].startswith(_ALL_MIXED):
        draft.say("amp", True)
    elif record["compute_dtype"] in ("float16", "bfloat16"):
        draft.say("amp", False)


_IGNORED, _IGNORED_AT = (
    "FSDP was told to ignore the adapted layers in whole, which the next commit puts right",
    "8103238",
)
"""fms_acceleration_foak, lora_adapters_switch_ddp_from_fsdp, until 00febdc (pull request 31)."""


def _plugins(draft: Draft, record: Record, kernels: str) -> None:
    """What the plugins of a configuration replace."""
    liger = kernels.endswith(_LIGER)
    kernels = kernels.removesuffix(_LIGER)
    base = kernels.removesuffix(_FOAK)
    if kernels != _ALONE and base not in _PLUGINS:
        draft.beyond["kernels"] = f"{kernels}{_LIGER}" if liger else kernels
        return
    changed = dict(_PLUGINS.get(base, {}))
    if base != kernels and record["source"]["commit"].startswith(_IGNORED_AT) and "parallel.gpus" in draft.fields:
        draft.beyond["parallel"] = _IGNORED
    if base != kernels or kernels == _ALONE:
        changed |= _FAST
        if record["model_as_published"] == _ONLY_LOSS:
            changed = {name: value for name, value in changed.items() if name not in ("kernels.norm", "kernels.rotary")}
        if base != kernels:
            masks = record["source"]["commit"].startswith(_MASKS)
            changed["kernels.adapters"] = "masked" if masks else "unsloth"
    if liger:
        changed |= _LIGER_LOSS
    for name, value in changed.items():
        draft.say(name, value)
