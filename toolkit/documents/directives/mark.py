"""`<!-- toolkit: claim peak_memory scenario=qlora -->28 GB`: claims that a document binds itself.

The value is what stands right after the comment; where that is more than one value, or none that can be told,
`<!-- toolkit: end -->` says where it ends. The spec then needs no more than `marks: true` and the scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from pydantic_core import PydanticCustomError

from toolkit.documents.directives.comment import Comment, Written, malformed, nearest_of, read_comments
from toolkit.documents.document import Document
from toolkit.documents.wording import listed, nearest, shown
from toolkit.finding import Finding, Place
from toolkit.frozen import frozen
from toolkit.quantity import find_values, parse_mark
from toolkit.spec.claim import Acknowledgement, Claim
from toolkit.spec.document_spec import Spec
from toolkit.spec.fields import names
from toolkit.spec.fields.kind import OneOf, one_of
from toolkit.spec.identify import identified
from toolkit.spec.quote import Quote
from toolkit.spec.yaml.node import typed
from toolkit.spec.yaml.scalar import read_date

KEYS = ("scenario", "metric", "id", "unchecked", "acknowledged", "until")
LONGEST_VALUE = 200

_QUANTITY = one_of("a quantity", names.QUANTITIES)
_METRIC = one_of("a metric", names.METRICS)
_MARKUP = re.compile(r"[ \t*_`]*")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_WORD = re.compile(r"[^\s|*_`<]+")


@frozen
class Marked:
    """A marked claim, with the offsets of its value in the document and the words around it."""

    claim: Claim
    start: int
    end: int
    quote: str


def marked_claims(spec: Spec, document: Document) -> tuple[list[Marked], list[Finding]]:
    """The claims that a document marks, for a spec with `marks: true`, and findings about them."""
    comments, _ = read_comments(document)  # `read_ignores` tells of those that cannot be read
    findings: list[Finding] = []
    found: list[Marked] = []
    for number, comment in enumerate(comments):
        if comment.verb == "end" and (not number or comments[number - 1].verb != "claim"):
            findings.append(malformed(comment.place, "nothing that it could end stands before it"))
        if comment.verb != "claim":
            continue
        wrong = list(_mistakes(comment, spec))
        following = comments[number + 1] if number + 1 < len(comments) else None
        value = _value(document, comment, following)
        if isinstance(value, Finding):
            wrong.append(value)
        findings += wrong
        if not wrong and not isinstance(value, Finding):
            found.append(_marked(comment, document, *value))
    if not found and not findings:
        said = "marks: true says that the document marks claims, and it marks none"
        findings.append(Finding(spec.place_of("marks"), "S105", said, "mark one: <!-- toolkit: claim … -->28 GB"))
    claims, repeated = identified(_counted(marked.claim for marked in found), spec.slug)
    found = [Marked(claim, one.start, one.end, one.quote) for claim, one in zip(claims, found, strict=True)]
    return found, [*findings, *repeated]


def _mistakes(comment: Comment, spec: Spec) -> Iterator[Finding]:
    for key, value in comment.values.items():
        if key not in KEYS:
            said = f"{shown(key)} is no field of a marked claim; known: {', '.join(KEYS)}"
            yield Finding(value.place, "S103", said, nearest_of(key, KEYS))
    if len(comment.words) != 1:
        yield malformed(comment.place, "claim names one quantity", "write claim peak_memory …")
        return
    quantity = comment.words[0]
    yield from _named(_QUANTITY, quantity)
    if "metric" in comment.values:
        yield from _named(_METRIC, comment.values["metric"])
    scenario = comment.values.get("scenario")
    if scenario is not None and scenario.text not in spec.scenarios:
        near = nearest(scenario.text, spec.scenarios)
        said = f"no scenario is called {shown(scenario.text)}; known: {listed(spec.scenarios, shown)}"
        yield Finding(scenario.place, "S108", said, f"write {near}" if near else None)
    elif scenario is None and quantity.text in names.ABOUT_SCENARIO:
        yield Finding(comment.place, "S105", f"a claim of {quantity.text} needs scenario", "add scenario=…")
    yield from _until(comment)


def _until(comment: Comment) -> Iterator[Finding]:
    until = comment.values.get("until")
    if until is None:
        return
    if "acknowledged" not in comment.values:
        yield Finding(until.place, "S113", "until says when an acknowledgement ends, and there is none")
    try:
        read_date(typed(until.text))
    except PydanticCustomError as error:
        yield _refused(error, until.place)


def _named(kind: OneOf, written: Written) -> Iterator[Finding]:
    """The finding for an unknown name, as for one in a spec."""
    try:
        kind.read(typed(written.text))
    except PydanticCustomError as error:
        yield _refused(error, written.place)


def _refused(error: PydanticCustomError, place: Place) -> Finding:
    context = error.context or {}
    return Finding(place, error.type, str(context.get("message")), context.get("repair"))


def _value(document: Document, comment: Comment, following: Comment | None) -> tuple[int, int] | Finding:
    """Offsets of the marked value: up to the comment that ends it, else the one value right after the mark."""
    index = document.index
    text = document.text
    if following is not None and following.verb == "end":
        if index.crosses(index.spot(comment.end), index.spot(following.start)):
            return malformed(following.place, "the claim that it ends begins in another block or cell")
        inner = text[comment.end : following.start]
        start = comment.end + len(inner) - len(inner.lstrip())
        if inner.strip():
            return start, start + len(inner.strip())
        return Finding(comment.place, "D204", "nothing stands between the mark and its end")
    line_end = document.lines.span(document.lines.at(comment.end))[1]
    begin = _MARKUP.match(text, comment.end, line_end)
    assert begin is not None
    after = text[begin.end() : min(line_end, begin.end() + LONGEST_VALUE)]
    after = _COMMENT.sub(lambda found: " " * len(found.group()), after)
    value = next(iter(find_values(after)), None)
    if value is not None and not after[: value.start].strip("*_` "):
        return begin.end() + value.start, begin.end() + value.end
    word = _WORD.match(after)
    if word is not None and parse_mark(word.group()) is not None:
        return begin.end(), begin.end() + word.end()
    said = f"no value stands right after the mark, but {shown(after, 40)}"
    return Finding(comment.place, "D204", said, "put the mark before the number, or close it: <!-- toolkit: end -->")


def _marked(comment: Comment, document: Document, start: int, end: int) -> Marked:
    lines = document.lines
    first, last = lines.span(lines.at(start))[0], lines.span(lines.at(end))[1]
    before, after = (_COMMENT.sub("", piece) for piece in (document.text[first:start], document.text[end:last]))
    quote = " ".join(f"{before[-LONGEST_VALUE:]}{document.text[start:end]}{after[:LONGEST_VALUE]}".split())
    said = {key: value.text for key, value in comment.values.items()}
    reason, until = said.get("acknowledged"), said.get("until")
    accepted = None
    if reason is not None:
        place = comment.values["acknowledged"].place
        accepted = Acknowledgement(reason, place, date.fromisoformat(until) if until else None)
    # The id goes by the words around the value, so that it stays when the value is corrected.
    around = " ".join(f"{before[-LONGEST_VALUE:]}{{}}{after[:LONGEST_VALUE]}".split())
    claim = Claim(
        id=said.get("id", ""),
        quantity=comment.words[0].text,
        source=Quote(f"mark {around}", comment.place, has_slot=True),
        place=comment.place,
        scenario=said.get("scenario"),
        metric=said.get("metric"),
        unchecked=said.get("unchecked"),
        acknowledged=accepted,
        places={key: value.place for key, value in comment.values.items()},
    )
    return Marked(claim, start, end, quote)


def _counted(claims: Iterator[Claim]) -> Iterator[Claim]:
    """The claims, those of the same quantity and words numbered, so that each has an id of its own."""
    seen: dict[tuple[object, ...], int] = {}
    for claim in claims:
        source = claim.source
        assert isinstance(source, Quote)
        key = (claim.quantity, claim.scenario, source.text)
        seen[key] = seen.get(key, 0) + 1
        yield replace(claim, source=replace(source, occurrence=seen[key]))
