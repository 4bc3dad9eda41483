"""The whole tree of pages: hand-written ones, annotated documents, guides, model cards, and the index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from toolkit.checks.result import CheckResult
from toolkit.pages.accuracy_pages import ESTIMATES, LINK
from toolkit.pages.cards import card_page, cards_of
from toolkit.pages.document_page import document_page
from toolkit.pages.marks import counts
from toolkit.pages.scenario_view import scenario_view
from toolkit.pages.subject import Subject, subject_of
from toolkit.pages.templates import assets, rendered

INDEX = "index.md"
COUNTS = "<!-- toolkit: counts -->"
"""The place in a hand-written index for the table of counts."""
ACCURACY = "<!-- toolkit: accuracy -->"
"""The place in it for the link to the tables of errors, if the site has them."""


class SameNameError(Exception):
    """A hand-written page has the name of a rendered one."""


def site(
    result: CheckResult, root: Path, hand_written: Path | None, more: Iterable[tuple[str, str]] = ()
) -> Mapping[str, bytes]:
    """Every file of the tree by its path, the same bytes for the same input; `more` are pages that were made elsewhere.

    Raises SameNameError.
    """
    subjects = [found for report in result.reports if (found := subject_of(report, root))]
    files = dict(_hand_written(hand_written)) if hand_written else {}
    intro = files.pop(INDEX, b"").decode("utf-8", "replace")
    tables = dict(more)
    intro = intro.replace(ACCURACY, LINK if ESTIMATES in tables else "")
    made = {path: text.encode("utf-8") for path, text in (*_pages(subjects, intro), *tables.items())}
    made.update(assets())
    for path in made:
        if path in files:
            raise SameNameError(path)
    return dict(sorted({**files, **made}.items()))


def _pages(subjects: Sequence[Subject], intro: str) -> Iterator[tuple[str, str]]:
    for subject in subjects:
        yield f"documents/{subject.slug}.md", document_page(subject)
        yield f"guides/{subject.slug}.md", _guide(subject)
    cards = cards_of(subjects)
    for card in cards:
        yield f"models/{card.folder}/MODEL_CARD.md", card_page(card)
    yield "models/index.md", rendered("models.md.j2", cards=cards)
    yield INDEX, _index(subjects, intro)


def _guide(subject: Subject) -> str:
    repairs = [
        (mark.number, claim, dict(claim.details))
        for mark in subject.marks
        for claim in mark.claims
        if claim.verdict in ("disagrees", "depends")
    ]
    views = [scenario_view(situated) for situated in subject.scenarios]
    return rendered("guide.md.j2", subject=subject, scenarios=views, repairs=repairs)


def _index(subjects: Sequence[Subject], intro: str) -> str:
    table = rendered("index.md.j2", rows=[(subject, list(counts(subject.claims))) for subject in subjects])
    if not intro:
        return f"# Documents and their numbers\n\n{table}"
    return intro.replace(COUNTS, table) if COUNTS in intro else f"{intro}\n\n{table}"


def _hand_written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a folder, links and hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        linked = any((folder / above).is_symlink() for above in (inner, *inner.parents))
        if path.is_file() and not hidden and not linked:
            yield inner.as_posix(), path.read_bytes()
