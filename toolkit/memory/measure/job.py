"""What is to be measured, as plain values: for the process that runs it, and for a machine that has no specs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from toolkit.evidence.record import Record, setting_key
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.frozen import frozen
from toolkit.spec.settings.setting import (
    Cache,
    Galore,
    Kernels,
    Lora,
    Parallel,
    Peft,
    Run,
    Setting,
    Stack,
    Validation,
    Zero,
)

FORMAT = 1


@frozen
class Measurable:
    """A setting to measure, and the scenario that it is of.

    `folder` is where its record belongs, `claims` how many claims wait for it. `seconds` is what it is expected to
    take, `bytes` the least and the most that the card is expected to show (None: the formulas refuse it). `at` says
    what tells the setting from the scenario's first.
    """

    scenario: str
    setting: Setting
    facts: ModelFacts
    folder: str = ""
    claims: int = 0
    seconds: float = 0.0
    bytes: tuple[int, int] | None = None
    at: str = ""

    @property
    def name(self) -> str:
        """The scenario, with what tells this setting from its first."""
        return f"{self.scenario}[{self.at}]" if self.at else self.scenario

    @property
    def label(self) -> str:
        """The name with the folder of its spec: scenarios of several specs may share a name."""
        spec = Path(self.folder).parent.name
        return f"{spec}/{self.name}" if spec else self.name

    @property
    def identity(self) -> str:
        """What is run, whatever it is called and wherever it belongs."""
        return _identity(self.facts.config_hash, setting_key(self.setting))


def identity_of(record: Record) -> str:
    """The identity of the job that a record is of."""
    return _identity(record.config_hash, record.setting)


def _identity(config_hash: str, setting: Mapping[str, Any]) -> str:
    return f"{config_hash} {json.dumps(setting, sort_keys=True)}"


def as_plain(job: Measurable) -> dict[str, Any]:
    """A job as JSON values. Of the model its config is kept, which says all that is run."""
    loaded: dict[str, Any] = json.loads(json.dumps(asdict(replace(job, facts=model_from_config({}, "")))))
    loaded["facts"] = {"id": job.facts.id, "config": job.facts.config}
    return loaded


def from_plain(said: Mapping[str, Any]) -> Measurable:
    """The job that was written. Raises KeyError, TypeError or ValueError for what is none."""
    sizes = said["bytes"]
    return Measurable(
        scenario=str(said["scenario"]),
        setting=setting_from(said["setting"]),
        facts=model_from_config(dict(said["facts"]["config"]), str(said["facts"]["id"])),
        folder=str(said["folder"]),
        claims=int(said["claims"]),
        seconds=float(said["seconds"]),
        bytes=None if sizes is None else (int(sizes[0]), int(sizes[1])),
        at=str(said.get("at", "")),
    )


_GROUPS: Mapping[str, type[Kernels | Parallel | Stack | Run | Validation]] = {
    "kernels": Kernels, "parallel": Parallel, "stack": Stack, "run": Run, "validation": Validation,
}  # fmt: skip


def setting_from(said: Mapping[str, Any]) -> Setting:
    """The setting of plain values, as `asdict` gives them. Raises TypeError for unknown fields."""
    fields = dict(said)
    lora = fields.pop("lora", None)
    if lora is not None:
        fields["lora"] = Lora(**{name: _as_tuples(value) for name, value in lora.items()})
    if fields.get("cache") is not None:
        fields["cache"] = Cache(**fields["cache"])
    peft = fields.pop("peft", None)
    if peft is not None:
        fields["peft"] = Peft(**{name: _as_tuples(value) for name, value in peft.items()})
    galore = fields.pop("galore", None)
    if galore is not None:
        fields["galore"] = Galore(**{name: _as_tuples(value) for name, value in galore.items()})
    spread = fields.get("parallel")
    if spread is not None and spread.get("zero") is not None:
        fields["parallel"] = spread = {**spread, "zero": Zero(**spread["zero"])}
    if spread is not None:
        fields["parallel"] = {name: _as_tuples(value) for name, value in spread.items()}
    for name, kind in _GROUPS.items():
        if fields.get(name) is not None:
            fields[name] = kind(**fields[name])
    return Setting(**fields)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def jobs_text(jobs: Iterable[Measurable]) -> str:
    """A file of jobs."""
    return json.dumps({"format": FORMAT, "jobs": [as_plain(job) for job in jobs]}, indent=1, sort_keys=True) + "\n"


def read_jobs(path: Path) -> list[Measurable] | str:
    """The jobs of a file, or why it is none."""
    try:
        whole = json.loads(path.read_text("utf-8"))
        if whole["format"] != FORMAT:
            return f"not a file of jobs of format {FORMAT}"
        return [from_plain(job) for job in whole["jobs"]]
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return f"no file of jobs: {type(error).__name__}: {error}"
