"""The settings of scenarios that are worth measuring, and what waits for each measurement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.checks.situation import REFUSALS
from toolkit.checks.traceable import jobs_of
from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import Record, read_records, setting_key
from toolkit.finding import Finding
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.plan import expected_bytes, expected_seconds
from toolkit.memory.trace.campaign import Job
from toolkit.spec.load import load_specs
from toolkit.spec.setting import Setting
from toolkit.spec.walk import is_spec

MEASURED = frozenset(
    ("peak_memory", "weights", "gradients", "optimizer_states", "activations", "kv_cache", "overhead", "fits",
     "gpu_memory", "adapters", "change", "speed_ratio")
)  # fmt: skip
"""Quantities that a measurement of their scenario speaks of."""


@dataclass(slots=True)
class Measurables:
    """Jobs, what is wrong with the files, and what was left out with its reason."""

    jobs: list[Measurable] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def measurables(paths: Sequence[Path], root: Path, names: Sequence[str] | None = None) -> Measurables:
    """The jobs of specs, folders of specs, and files with one scenario, each with the claims that wait for it.

    Folders of records are told from `root`, as another machine has them too.
    """
    traceable = jobs_of(paths, root, names)
    claims = _claims(paths, root)
    measured = {folder: _measured(folder) for folder in {folder for _, folder in traceable.jobs}}
    found = Measurables(findings=traceable.findings, left_out=traceable.left_out)
    base = root.resolve()
    for job, folder in traceable.jobs:
        refusal = _refusal(job.setting)
        if refusal:
            found.left_out.append(f"{job.scenario}: {refusal}")
            continue
        waiting = claims[folder, job.scenario] if _key(job) not in measured[folder] else 0
        whole = folder.resolve()
        shown = whole.relative_to(base) if whole.is_relative_to(base) else whole
        found.jobs.append(_measurable(job, shown.as_posix(), waiting))
    return found


def computed(job: Measurable) -> Estimate | None:
    """What the formulas say of a job, if they say anything."""
    try:
        return estimate(job.setting, job.facts)
    except REFUSALS:
        return None


def _refusal(setting: Setting) -> str:
    """What no process need be started for: the rest is refused there, by name."""
    if setting.stack.trainer == "vllm" or setting.engine:
        return "an engine takes its share of a card whatever it runs: it is not measured"
    if setting.parallel.gpus != 1 or setting.parallel.offload:
        return "several GPUs and offloading are not measured yet"
    return ""


def _measurable(job: Job, folder: str, claims: int) -> Measurable:
    plain = Measurable(job.scenario, job.setting, job.facts, folder, claims)
    known = computed(plain)
    parameters = known.parameters_total if known else job.facts.verified_params or 0
    return Measurable(
        scenario=job.scenario,
        setting=job.setting,
        facts=job.facts,
        folder=folder,
        claims=claims,
        seconds=expected_seconds(job.setting, parameters),
        bytes=expected_bytes(known),
    )


def _claims(paths: Iterable[Path], root: Path) -> Counter[tuple[Path, str]]:
    """How many claims of each scenario, by the folder of its records, a measurement speaks of."""
    specs, _ = load_specs([path for path in paths if path.is_dir() or is_spec(path.name)], root)
    counted: Counter[tuple[Path, str]] = Counter()
    for spec in specs:
        for claim in spec.claims:
            if claim.scenario is not None and claim.quantity in MEASURED:
                counted[spec.path.parent / "evidence", claim.scenario] += 1
    return counted


def _measured(folder: Path) -> set[str]:
    """The settings of which there is a measurement."""
    if not folder.is_dir():
        return set()
    records = (one for one in read_records(folder) if isinstance(one, Record))
    return {_identity(one.setting, one.config_hash) for one in records if one.kind is EvidenceKind.MEASURED}


def _key(job: Job) -> str:
    return _identity(setting_key(job.setting), job.facts.config_hash)


def _identity(setting: object, config_hash: str) -> str:
    return f"{config_hash} {json.dumps(setting, sort_keys=True)}"
