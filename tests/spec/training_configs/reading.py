"""Reads configurations from text."""

from pathlib import Path

from toolkit.finding import Severity
from toolkit.spec.fields.value import Atom, Fixed
from toolkit.spec.training_configs.read import read_training_config
from toolkit.spec.training_configs.training_config import TrainingConfig


def read(folder: Path, text: str, tool: str | None, **flags: str) -> TrainingConfig:
    """What is read of a text; a double underscore in a flag stands for a dot."""
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return read_training_config(file, folder, tool, {name.replace("__", "."): said for name, said in flags.items()})


def fields(folder: Path, text: str, tool: str, **flags: str) -> dict[str, Atom]:
    """The fields that a text says; there must be no mistake in it."""
    found = read(folder, text, tool, **flags)
    assert found.scenario is not None, [str(one) for one in found.findings]
    said = found.scenario.fields.items()
    return {name: one.value.value for name, one in said if isinstance(one.value, Fixed)}


def mistakes(folder: Path, text: str, tool: str | None, **flags: str) -> list[str]:
    """The errors of a text as place, code and message."""
    found = read(folder, text, tool, **flags)
    assert found.scenario is None
    return [str(one) for one in found.findings if one.severity is Severity.ERROR]


def remarked(folder: Path, text: str, tool: str, **flags: str) -> list[str]:
    """Warnings and notes of a text that is read."""
    found = read(folder, text, tool, **flags)
    assert found.scenario is not None, [str(one) for one in found.findings]
    return [f"{one.place.line}:{one.place.column} {one.code} {one.message}" for one in found.findings]
