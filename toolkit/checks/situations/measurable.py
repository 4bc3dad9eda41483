"""The settings of scenarios that are worth measuring, each with the number of claims that it would decide."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.decisive import decisive
from toolkit.checks.situations.traceable import jobs_of
from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import FOLDER, Record, read_records, setting_key
from toolkit.finding import Finding
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.plan import expected_bytes, expected_seconds
from toolkit.memory.measure.refused import refusal
from toolkit.memory.trace.many.campaign import Job
from toolkit.spec.document_spec import Spec
from toolkit.spec.load import load_specs
from toolkit.spec.quote import Name
from toolkit.spec.walk import is_spec

MEASURED = frozenset(
    ("peak_memory", "weights", "gradients", "optimizer_states", "activations", "kv_cache", "overhead", "fits",
     "gpu_memory", "adapters", "change", "speed_ratio")
)  # fmt: skip
"""The quantities for which a measurement of the scenario is evidence."""


@dataclass(slots=True)
class Measurables:
    """Jobs, findings about the files, and what was left out, with the reason.

    `refused` holds, by scenario, why settings are left out that cannot be measured.
    """

    jobs: list[Measurable] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)


def measurables(paths: Sequence[Path], root: Path, names: Sequence[str] | None = None) -> Measurables:
    """The jobs of specs, folders of specs, and files with one scenario, each with the claims that wait for it.

    Folders of records are given relative to `root`, so that they name the same folder on another machine.
    """
    traceable = jobs_of(paths, root, names, stated=True)
    specs, _ = load_specs([path for path in paths if path.is_dir() or is_spec(path.name)], root)
    claims = _claims(specs)
    measured = {folder: _measured(folder) for folder in {folder for _, folder in traceable.jobs}}
    found = Measurables(findings=traceable.findings, left_out=traceable.left_out)
    stated: dict[tuple[Path, str], Measurable] = {}
    for job, folder, decides in _each(traceable.jobs, decisive(specs, root), names):
        reason = refusal(job.setting)  # known without starting a process; the rest is refused there, by name
        if reason:
            found.left_out.append(f"{job.scenario}: {reason}")
            found.refused.setdefault(job.scenario, []).append(reason)
            continue
        waiting = decides or claims[folder, job.scenario]
        known = _key(job) in measured.get(folder, ())
        one = measurable(job, shown(folder, root), 0 if known else waiting)
        first = stated.setdefault((folder, job.scenario), one)
        found.jobs.append(replace(one, at=_apart(setting_key(first.setting), setting_key(one.setting))))
    found.left_out = list(dict.fromkeys(found.left_out))
    return found


def _each(
    stated: Iterable[tuple[Job, Path]], turning: Iterable[tuple[Job, Path]], names: Sequence[str] | None
) -> Iterator[tuple[Job, Path, int]]:
    """Every setting once, with the number of claims that it alone decides; 0 for those that matter to all claims."""
    first = {(folder, job.scenario, _key(job)): (job, folder) for job, folder in stated}
    for job, folder in first.values():
        yield job, folder, 0
    others = [(job, folder) for job, folder in turning if not names or job.scenario in names]
    decided = Counter((folder, job.scenario, _key(job)) for job, folder in others)
    for job, folder in {(folder, job.scenario, _key(job)): (job, folder) for job, folder in others}.values():
        key = (folder, job.scenario, _key(job))
        if key not in first:
            yield job, folder, decided[key]


def _apart(first: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> str:
    """The fields in which a setting differs from the first, with its values: "batch_size=4,lora.rank=8"."""
    said = []
    for name in other:
        one, two = first.get(name), other[name]
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            said.append(_apart(one, two, f"{prefix}{name}."))
        elif one != two:
            said.append(f"{prefix}{name}={json.dumps(two) if isinstance(two, (dict, list)) else two}")
    return ",".join(filter(None, said))


def shown(folder: Path, root: Path) -> str:
    """A folder relative to `root`, which names it on another machine, too."""
    whole, base = folder.resolve(), root.resolve()
    return (whole.relative_to(base) if whole.is_relative_to(base) else whole).as_posix()


def computed(job: Measurable) -> Estimate | None:
    """The estimate of a job; None where the formulas refuse it."""
    try:
        return estimate(job.setting, job.facts)
    except REFUSALS:
        return None


def measurable(job: Job, folder: str, claims: int = 0) -> Measurable:
    """A job with the seconds and the bytes that it is expected to take."""
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


def _claims(specs: Iterable[Spec]) -> Counter[tuple[Path, str]]:
    """How many claims of each scenario (by folder of records and name) a measurement would be evidence for.

    A claim of a change between two scenarios counts for both.
    """
    counted: Counter[tuple[Path, str]] = Counter()
    for spec in specs:
        for claim in spec.claims:
            if claim.quantity not in MEASURED or claim.unchecked is not None:
                continue
            ends = (claim.start, claim.end) if claim.of is not None else ()
            named = {end.text for end in ends if isinstance(end, Name)} | {claim.scenario}
            counted.update((spec.path.parent / FOLDER, name) for name in spec.scenarios if name in named)
    return counted


def _measured(folder: Path) -> set[str]:
    """The identities of the settings that were measured already."""
    if not folder.is_dir():
        return set()
    records = (one for one in read_records(folder) if isinstance(one, Record))
    return {_identity(one.setting, one.config_hash) for one in records if one.kind is EvidenceKind.MEASURED}


def _key(job: Job) -> str:
    return _identity(setting_key(job.setting), job.facts.config_hash)


def _identity(setting: object, config_hash: str) -> str:
    return f"{config_hash} {json.dumps(setting, sort_keys=True)}"
