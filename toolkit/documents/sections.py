"""The part of a document under a heading."""

from __future__ import annotations

from bisect import bisect_right

from toolkit.documents.document import Document
from toolkit.documents.plain import plain
from toolkit.documents.structure import Heading
from toolkit.documents.wording import listed, nearest, shown
from toolkit.finding import Finding, Place

FRONT_MATTER = "---"
_STEP = " > "
_COMPARED = 20  # headings of the same text whose paths are compared for a repair


def find_section(document: Document, under: str, *, hint: bool = True) -> tuple[int, int] | Finding:
    """Offsets of the section with a heading, given by its text or by a path of texts, "Setup > Memory".

    The text is compared as a reader sees it: `**Setup**` and `Setup` name the same heading. "---" names the
    front matter. No such heading, or several, is a finding; `hint` looks for the nearest one.
    """
    if under.strip() == FRONT_MATTER and document.body:
        return 0, document.body
    found = _named(document, under)
    if len(found) == 1:
        return found[0].start, found[0].section_end
    if found:
        return _several(document, under, found)
    known = nearest(plain(under), document.headings_by_text) if hint else None
    near = f"; nearest: {shown(known)}" if known else ""
    named = "" if known else f"; headings: {listed(document.headings_by_text, shown)}"
    return Finding(
        Place(document.path),
        "D206",
        f"{document.shown_path} has no heading {shown(under)}{near or (named if document.headings else '')}",
        f"Write `under: {shown(known)}`." if known else "Write the heading as it stands in the document.",
    )


def section_name(document: Document, start: int, end: int) -> str | None:
    """What `under` calls the innermost section that holds a piece of the text; None where no name is its alone."""
    if document.body and end <= document.body:
        return FRONT_MATTER
    before = bisect_right(document.headings, start, key=lambda heading: heading.start)
    around = (document.headings[at] for at in range(before - 1, -1, -1))
    heading = next((one for one in around if end <= one.section_end), None)
    if heading is None:
        return None
    for name in (heading.text, _STEP.join((*heading.path, heading.text))):
        if find_section(document, name, hint=False) == (heading.start, heading.section_end):
            return name
    return None


def _named(document: Document, under: str) -> list[Heading]:
    whole = document.headings_by_text.get(plain(under), [])
    if whole or _STEP not in under:
        return whole
    *around, last = (plain(step) for step in under.split(_STEP))
    return [heading for heading in document.headings_by_text.get(last, []) if _lies_in(heading, around)]


def _lies_in(heading: Heading, around: list[str]) -> bool:
    """Whether the sections around a heading include these, in this order."""
    steps = iter(heading.path)
    return all(text in steps for text in around)


def _several(document: Document, under: str, found: list[Heading]) -> Finding:
    lines = listed(found, lambda heading: f"line {document.position(heading.start)[0]}")
    paths = {_STEP.join((*heading.path, heading.text)): None for heading in found[:_COMPARED]}
    repair = "Make the headings differ, or leave `under` out and quote more of the sentence."
    if len(paths) == len(found[:_COMPARED]):
        repair = f"Write the path to it: {listed(paths, lambda path: f'`under: {shown(path)}`')}."
    return Finding(
        Place(document.path),
        "D206",
        f"{document.shown_path} has {len(found)} headings {shown(under)}: {lines}",
        repair,
    )
