"""A scenario as the YAML of its file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from toolkit.facts.models import is_written_out
from toolkit.finding import printable
from toolkit.report.json import as_json, finding_json
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.fields.value import Range
from toolkit.spec.scenario import Scenario
from toolkit.spec.training_configs.training_config import TrainingConfig

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_./][A-Za-z0-9]+)*")
_MEANS_ELSE = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def read_json(read: TrainingConfig | None) -> dict[str, object]:
    """For JSON, what was read from another tool's file; {} for a scenario of our own."""
    if read is None:
        return {}
    findings = [finding_json(finding) for finding in read.findings]
    return {"read": {"tool": read.tool, "fields": dict(read.remarks), "findings": findings}}


def scenario_yaml(scenario: Scenario, read: TrainingConfig | None = None) -> str:
    """A scenario as YAML, each field with a comment on the key of another tool's file that it comes from."""
    said = read.remarks if read else {}
    heading = f"read from {PurePath(scenario.place.path).name}, a configuration of {read.tool}" if read else ""
    fields = grouped(_in_order(scenario))
    lines = [f"# {printable(heading)}"] if heading else []
    for name, value in fields.items():
        if isinstance(value, dict) and any(f"{name}.{inner}" in scenario.fields for inner in value):
            lines.append(f"{name}:")
            lines += [f"  {text}" for text in _lines(value, {key: said.get(f"{name}.{key}", "") for key in value})]
        else:
            lines += _lines({name: value}, said)
    return "\n".join(lines) + "\n"


def _lines(fields: Mapping[str, object], remarks: Mapping[str, str]) -> Iterator[str]:
    for name, value in fields.items():
        remark = remarks.get(name, "")
        yield f"{name}: {_value(value)}" + (f"  # {printable(remark)}" if remark else "")


def _value(value: object) -> str:
    """A value in flow style, with text in quotes wherever YAML could read it as something else."""
    if isinstance(value, str):
        safe = _PLAIN.fullmatch(value) and value.casefold() not in _MEANS_ELSE
        return value if safe else json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_value(str(key))}: {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, float):
        return repr(value) if value != int(value) else str(int(value))
    return json.dumps(value)


def scenario_json(scenario: Scenario) -> str:
    """A scenario as JSON, which can also serve as its file."""
    return as_json(grouped(_in_order(scenario)))


def _in_order(scenario: Scenario) -> dict[str, object]:
    """The fields in the order in which a person would write them."""
    return {name: scenario.fields[name].value for name in FIELDS if name in scenario.fields}


def grouped(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields as a scenario's file nests them: "lora.rank" inside "lora"."""
    written: dict[str, object] = {}
    for name, value in fields.items():
        group, _, inner = name.rpartition(".")
        holder = written.setdefault(group, {}) if group else written
        assert isinstance(holder, dict)
        holder[inner] = plain(value)
    if isinstance(model := written.get("model"), str):
        written["model"] = _model(model)
    return written


def _model(name: str) -> object:
    """The id of a model, or the config that is written into the scenario."""
    return json.loads(name) if is_written_out(name) else name


def plain(value: object) -> object:
    """The value of a field for JSON."""
    if isinstance(value, Range):
        return {"from": value.low, "to": value.high}
    for inner in ("value", "values"):
        if hasattr(value, inner):
            return plain(getattr(value, inner))
    return [plain(item) for item in value] if isinstance(value, tuple) else value
