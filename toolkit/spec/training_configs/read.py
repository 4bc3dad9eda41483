"""Reads another tool's configuration file into a scenario: safely, with every mistake of the file in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from toolkit.finding import Finding, Place, Severity
from toolkit.spec.fields.value import Field
from toolkit.spec.gather import in_order
from toolkit.spec.load import checked_scenario, fields_from_flags
from toolkit.spec.paths import shown_path
from toolkit.spec.scenario import Scenario
from toolkit.spec.training_configs.axolotl import take_axolotl
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.hugging_face import take_transformers, take_trl
from toolkit.spec.training_configs.irrelevant import irrelevant
from toolkit.spec.training_configs.llamafactory import take_llamafactory
from toolkit.spec.training_configs.llamafactory_v1 import is_v1
from toolkit.spec.training_configs.other_files import other_file
from toolkit.spec.training_configs.torchtune import take_torchtune
from toolkit.spec.training_configs.training_config import TrainingConfig
from toolkit.spec.walk import slug_of
from toolkit.spec.yaml.known import limited_guesses
from toolkit.spec.yaml.node import Entries
from toolkit.spec.yaml.read_file import read_entries

_READERS: Mapping[str, Callable[[Config], None]] = {
    "trl": take_trl,
    "transformers": take_transformers,
    "axolotl": take_axolotl,
    "llamafactory": take_llamafactory,
    "torchtune": take_torchtune,
}
_TELLING: Mapping[str, tuple[str, ...]] = {
    "axolotl": ("base_model", "micro_batch_size", "sequence_len", "sample_packing"),
    "llamafactory": ("finetuning_type", "cutoff_len", "stage", "lora_target"),
    "torchtune": ("model._component_", "tokenizer._component_", "optimizer._component_"),
    "trl": ("max_length", "max_seq_length", "use_peft", "lora_target_modules", "dataset_text_field", "packing"),
    "transformers": (),
}
"""Keys that only one of the tools has; per_device_train_batch_size belongs to every tool built on transformers."""


def read_training_config(
    path: Path, root: Path, tool: str | None, flags: Mapping[str, str] | None = None
) -> TrainingConfig:
    """The scenario that a tool's file describes; without a tool the keys tell which. Flags override fields."""
    entries, findings = read_entries(path, root, "a configuration")
    shown = shown_path(path, root)
    said, wrong = fields_from_flags(flags or {})
    findings += wrong
    if entries is None or said is None:
        return TrainingConfig(tool or "", None, tuple(in_order(findings)))
    if (other := other_file(entries, shown)) is not None:
        return TrainingConfig(tool or "", None, tuple(in_order([*findings, other])))
    notes: tuple[str, ...] = ()
    if tool is None:
        fitting = tools_of(entries)
        if len(fitting) != 1:
            findings.append(_undecided(shown, fitting))
            return TrainingConfig("", None, tuple(in_order(findings)))
        tool = fitting[0]
        notes = (f"{shown}: read as a configuration of {tool}, by its keys",)
    config = Config(tool, entries, shown, said, folder=path.parent)
    with limited_guesses():
        _READERS[tool](config)
        config.unread(irrelevant(tool))
        scenario, checked = _scenario(config, Scenario(slug_of(path), Place(shown), config.fields), said, path.parent)
    findings += [*config.findings, *checked]
    stops = any(one.severity is Severity.ERROR for one in findings)
    remarks = {name: text for name, text in config.remarks.items() if name not in said}
    return TrainingConfig(tool, None if stops else scenario, tuple(in_order(findings)), remarks, notes)


def _scenario(
    config: Config, scenario: Scenario, said: Mapping[str, Field], base: Path
) -> tuple[Scenario | None, list[Finding]]:
    """The scenario with the command line's fields; a finding asks for each missing field by its flag."""
    found, findings = checked_scenario(scenario.with_fields(said), base)
    told = [f"needs {name}" for name in config.lost]
    return found, [_asked_for(config, one) for one in findings if not one.message.endswith(tuple(told))]


def _asked_for(config: Config, finding: Finding) -> Finding:
    """Rewords a finding of a missing field or unknown model: the command line can state it as well."""
    for name in ("model", "method"):
        if finding.code == "S105" and finding.message.endswith(f"needs {name}"):
            message = f"the {config.tool} configuration does not say the {name}"
            return Finding(finding.place, "S105", message, f"add --{name}")
    if finding.code == "S107" and finding.message.startswith("model: ") and finding.place.path == config.shown:
        repair = f"{finding.repair}, or add --model" if finding.repair else "add --model"
        return replace(finding, repair=repair)
    return finding


_NOT_TRL = ("finetuning_type", "base_model", "micro_batch_size", "model._component_")
"""Keys of tools that share some of TRL's keys: lora_target_modules is axolotl's as well."""


def tools_of(entries: Entries) -> tuple[str, ...]:
    """The tools whose own keys a file has; `transformers` if it has only keys of transformers' Trainer."""
    if is_v1(entries):
        return ("llamafactory",)
    found = [
        tool
        for tool, keys in _TELLING.items()
        if any(_has(entries, key) for key in keys)
        and (tool != "trl" or not any(_has(entries, key) for key in _NOT_TRL))
    ]
    if not found and ("per_device_train_batch_size" in entries or "learning_rate" in entries):
        found = ["transformers"] if "model_name_or_path" not in entries else ["transformers", "trl"]
    return tuple(found)


def whose(path: Path, root: Path) -> Finding | None:
    """A finding for a file given as a scenario that is a tool's configuration or another file; else None."""
    entries, _ = read_entries(path, root, "a configuration")
    if entries is None or "method" in entries:
        return None
    shown = shown_path(path, root)
    if (other := other_file(entries, shown)) is not None:
        return other
    tools = tools_of(entries)
    if not tools:
        return None
    flags = " or ".join(f"--from {tool}" for tool in tools)
    return Finding(
        Place(shown), "S105", f"this is a configuration of {' or '.join(tools)}, no scenario", f"add {flags}"
    )


def _has(entries: Entries, key: str) -> bool:
    outer, _, inner = key.partition(".")
    node = entries.get(outer)
    return node is not None and (not inner or (isinstance(node, Entries) and inner in node))


def _undecided(shown: str, fitting: tuple[str, ...]) -> Finding:
    among = f"it has keys of {' and '.join(fitting)}" if fitting else "none of its keys is one tool's own"
    return Finding(Place(shown), "S105", f"whose configuration this is cannot be told: {among}", "add --from TOOL")
