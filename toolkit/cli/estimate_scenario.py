"""Reads the scenario of `toolkit estimate`: from a file, from flags, or from another tool's configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from toolkit.cli.output import hint
from toolkit.finding import Finding
from toolkit.frozen import frozen
from toolkit.spec.load import load_scenario, scenario_from_flags
from toolkit.spec.scenario import Scenario
from toolkit.spec.training_configs.training_config import TrainingConfig


@frozen
class Asked:
    """A scenario, the folder of its local files, and the other tool's configuration that it was read from."""

    scenario: Scenario
    base: Path
    read: TrainingConfig | None = None


def asked(file: Path | None, tool: str | None, said: Mapping[str, str]) -> Asked | None:
    """The scenario, or None after printing every mistake to stderr."""
    if file is None:
        scenario, findings = scenario_from_flags(said, Path())
        tell(findings)
        return Asked(scenario, Path()) if scenario else None
    root = Path() if file.resolve().is_relative_to(Path.cwd()) else file.resolve().parent
    if tool is None:
        scenario, findings = load_scenario(file, root, said)
        tell(findings if scenario else _without_tool(file, root, findings))
        return Asked(scenario, file.parent) if scenario else None
    from toolkit.spec.training_configs.read import read_training_config

    read = read_training_config(file, root, None if tool == "auto" else tool, said)
    tell(read.findings)
    for note in read.notes:
        hint(note)
    if read.scenario is None:
        return None
    return Asked(read.scenario, file.parent, read)


def _without_tool(file: Path, root: Path, findings: list[Finding]) -> list[Finding]:
    """The findings about a file, or, if it belongs to another tool, only a finding that says so."""
    from toolkit.spec.training_configs.read import whose

    other = whose(file, root)
    return findings if other is None else [other]


def tell(findings: Iterable[Finding]) -> None:
    """Prints findings to stderr, each with its repair."""
    for finding in findings:
        repair = f" ({finding.repair})" if finding.repair else ""
        hint(f"{finding}{repair}")
