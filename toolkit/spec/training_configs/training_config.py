"""What was read of another tool's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from toolkit.finding import Finding
from toolkit.frozen import frozen
from toolkit.spec.scenario import Scenario


@frozen
class TrainingConfig:
    """What was read of a file: the scenario, unless there is a mistake.

    `remarks` say for each field which key or default it comes from; `notes` say what else a reader should know.
    """

    tool: str
    scenario: Scenario | None
    findings: tuple[Finding, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
