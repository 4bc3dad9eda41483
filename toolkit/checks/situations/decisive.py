"""The settings that decide claims that depend: on both sides of the boundary between true and false."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from toolkit.checks.judge import judge_spec
from toolkit.checks.situations.situations import Situations
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.evidence.record import FOLDER
from toolkit.memory.trace.many.campaign import Job
from toolkit.spec.document_spec import Spec


def decisive(specs: Iterable[Spec], root: Path) -> Iterator[tuple[Job, Path]]:
    """For every claim that depends, a job on either side of its boundary, with the folder of its records.

    A job is repeated for each claim that it decides. The boundary is the one known now; a new record may move it.
    """
    for spec in specs:
        document = read_document(spec.document_path, root)
        if isinstance(document, Document):
            yield from ((job, spec.path.parent / FOLDER) for job in _of(spec, document))


def _of(spec: Spec, document: Document) -> Iterator[Job]:
    binding = bind(spec, document)
    situations = Situations(spec, binding.values)
    claims = {bound.claim.id: bound.claim for bound in binding.claims}
    for judgement in judge_spec(spec, binding, date.min).judgements:
        situation = situations.situation(claims[judgement.id])
        if situation is not None and judgement.scenario is not None:
            for choice in judgement.outcome.turns or ():
                yield Job(judgement.scenario, situation.setting(choice), situation.facts)
