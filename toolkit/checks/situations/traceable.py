"""The settings of scenarios that are worth tracing: those with the smallest and the largest computed peak.

Measurements also take the setting with the first value of every open field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation, all_moved
from toolkit.checks.situations.situations import situation_of
from toolkit.checks.situations.space import TooManySettingsError
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.documents.read_field import resolved
from toolkit.evidence.record import FOLDER
from toolkit.facts.names import nearest
from toolkit.finding import Finding
from toolkit.memory.trace.many.campaign import Job
from toolkit.spec.load import load_scenario, load_specs
from toolkit.spec.load_scenarios import holds_scenarios, load_scenarios
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.setting import Setting
from toolkit.spec.walk import is_spec


@dataclass(slots=True)
class Traceable:
    """Jobs with the folder of their records, findings about the files, and what was left out, with the reason.

    `seen` holds the names of all scenarios that were read.
    """

    jobs: list[tuple[Job, Path]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    stated: bool = False
    seen: set[str] = field(default_factory=set)


def jobs_of(
    paths: Iterable[Path], root: Path, names: Sequence[str] | None = None, *, stated: bool = False
) -> Traceable:
    """The jobs for specs, folders of specs, and files with one scenario; only of the scenarios in `names`, if given.

    `stated` adds, as the first of each scenario, the setting with the first value of every open field.
    """
    found = Traceable(stated=stated)
    specs = []
    for path in paths:
        if path.is_file() and holds_scenarios(path):
            listed, findings = load_scenarios(path, path.resolve().parent)
            found.findings += findings
            for one in listed.scenarios:
                _add(found, one, path.parent, names)
        elif path.is_file() and not is_spec(path.name):
            scenario, findings = load_scenario(path, path.resolve().parent)
            found.findings += findings
            if scenario is not None:
                _add(found, scenario, path.parent, names)
        else:
            specs.append(path)
    if specs:
        _add_specs(found, specs, root, names)
    for name in sorted(set(names or ()) - found.seen) if found.seen else ():
        near = " or ".join(nearest(name, found.seen))
        found.left_out.append(f"no scenario is called {name!r}" + (f"; did you mean {near}?" if near else ""))
    return found


def _add_specs(found: Traceable, paths: Sequence[Path], root: Path, names: Sequence[str] | None) -> None:
    specs, findings = load_specs(paths, root)
    found.findings += findings
    for spec in specs:
        document = read_document(spec.document_path, root)
        if not isinstance(document, Document):
            found.findings.append(document)
            continue
        values = bind(spec, document).values
        for scenario in spec.scenarios.values():
            _add(found, resolved(scenario, values), spec.path.parent, names)


def _add(found: Traceable, scenario: Scenario, base: Path, names: Sequence[str] | None) -> None:
    found.seen.add(scenario.name)
    if names and scenario.name not in names:
        return
    situation = situation_of(scenario, base)
    if situation is None:
        found.left_out.append(f"{scenario.name}: no model is known as {scenario.model}")
        return
    settings = [situation.setting()] if found.stated else []
    settings += [one for one in _outermost(situation) if one not in settings]
    for setting in settings:
        found.jobs.append((Job(scenario.name, setting, situation.facts), base / FOLDER))


def _outermost(situation: Situation) -> Iterator[Setting]:
    """The settings with the smallest and the largest computed peak; the first where the formulas refuse."""
    try:
        choices = list(situation.space.extremes(situation.fields(*all_moved())))
        peaks = [situation.estimate(choice).allocated for choice in choices]
    except (*REFUSALS, TooManySettingsError):
        yield situation.setting()
        return
    smallest, largest = peaks.index(min(peaks)), peaks.index(max(peaks))
    for index in dict.fromkeys((smallest, largest)):
        yield situation.setting(choices[index])
