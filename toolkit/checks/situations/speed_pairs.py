"""The pairs of scenarios whose speeds a document compares, each at the setting that the document states or implies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from toolkit.checks.situations.measurable import measurable, shown
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.situations import Situations, situation_of
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.evidence.record import FOLDER
from toolkit.frozen import frozen
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.speed import WORK
from toolkit.memory.trace.many.campaign import Job
from toolkit.spec.document_spec import Spec
from toolkit.spec.load_scenarios import load_scenarios


@frozen
class SpeedPair:
    """Two scenarios of a spec, and the work by which a claim compares their speeds."""

    work: str
    start: Measurable
    end: Measurable

    @property
    def name(self) -> str:
        """Both scenarios and the work."""
        return f"{self.start.scenario}..{self.end.scenario},{self.work}"


def speed_pairs(specs: Iterable[Spec], root: Path) -> list[SpeedPair]:
    """The pairs of scenarios that claims compare by `of: duration`, each once."""
    return _once(pair for spec in specs for pair in _of(spec, root))


def listed_pairs(path: Path, root: Path) -> list[SpeedPair]:
    """The pairs in a file of scenarios."""
    listed, _ = load_scenarios(path, path.resolve().parent)
    jobs = {}
    for scenario in listed.scenarios:
        situation = situation_of(scenario, path.parent)
        if situation is not None:
            jobs[scenario.name] = _job(situation, shown(path.parent / FOLDER, root))
    compared = [one for one in listed.speeds if one.start in jobs and one.end in jobs]
    return _once(SpeedPair(one.work, jobs[one.start], jobs[one.end]) for one in compared)


def _once(pairs: Iterable[SpeedPair]) -> list[SpeedPair]:
    found: dict[tuple[str, ...], SpeedPair] = {}
    for pair in pairs:
        found.setdefault((pair.work, pair.start.folder, pair.start.identity, pair.end.identity), pair)
    return list(found.values())


def _of(spec: Spec, root: Path) -> Iterator[SpeedPair]:
    document = read_document(spec.document_path, root)
    if not isinstance(document, Document):
        return
    situations = Situations(spec, bind(spec, document).values)
    folder = shown(spec.path.parent / FOLDER, root)
    for claim in spec.claims:
        work = str(claim.subject.get("work", "training"))
        if claim.quantity != "speed_ratio" or claim.of != "duration" or claim.unchecked is not None or work not in WORK:
            continue
        start, end = situations.ends_of_change(claim)
        if start is not None and end is not None:
            yield SpeedPair(work, _job(start, folder), _job(end, folder))


def _job(situation: Situation, folder: str) -> Measurable:
    return measurable(Job(situation.scenario, situation.setting(), situation.facts), folder)
