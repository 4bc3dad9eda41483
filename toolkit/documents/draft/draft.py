"""Drafts the claims of a document: each with its quantity, its scenario, and the question to answer first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from toolkit.documents.draft.beyond import cards_beyond, changes_beyond
from toolkit.documents.draft.doubts import JUDGED, doubt, doubtful_quantity, sums
from toolkit.documents.draft.drafted import Draft, DraftedClaim, DraftedField, Loose
from toolkit.documents.draft.loose import loose_figures
from toolkit.documents.draft.passages import Passages, passages
from toolkit.documents.draft.places import Places
from toolkit.documents.draft.relations import (
    card_of_mark,
    closed,
    ends_in_row,
    ends_of,
    is_about_fit,
    is_card,
    is_of_memory,
    loads,
)
from toolkit.documents.draft.scenarios import ANY_METHOD, OF_A_PART, Scenarios, fields_of, reason_of
from toolkit.documents.draft.sources import DRAFTED, Found, escaped
from toolkit.documents.draft.stated import SETTINGS, Said, Stated, stated
from toolkit.documents.draft.whole import read_whole
from toolkit.documents.draft.words import GIGABYTE
from toolkit.documents.match import Match
from toolkit.documents.plain import plain
from toolkit.documents.quotes import find_quote
from toolkit.documents.read_field import read_field
from toolkit.documents.scan import cues
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.documents.scan.values import unit_of_heading
from toolkit.finding import printable
from toolkit.quantity import Dimension, parse_mark, parse_value
from toolkit.spec.quote import Cell, Quote, Source

MOST_CLAIMS: Final = 1_000
"""The most claims of a draft."""

_NEVER_JUDGED: Final = {
    "host_memory": "which program's main memory, and on which machine?",
    "disk": "of which files?",
    "change": "from which figure to which?",
}
_LONGEST_TITLE: Final = 120

Settled = Mapping[tuple[int, str], bool]
"""The verdicts of the checks that need no spec, by offset and quantity: whether a figure is true."""


def draft(scanned: Scanned, settled: Settled) -> Draft:
    """Drafts the claims of a scanned document; `settled` are the verdicts of the checks that need no spec."""
    return _Drafting(scanned, settled).run()


class _Drafting:
    """Drafts one claim after the other, and collects scenarios and named values on the way."""

    def __init__(self, scanned: Scanned, settled: Settled) -> None:
        self._scanned, self._settled = scanned, settled
        self._places = Places(scanned)
        self._whole = read_whole(scanned.meant)
        self._scenarios = Scenarios({field: _elsewhere(self._whole.numbers(field)) for field in SETTINGS})
        self._loose: list[Loose] = []

    def run(self) -> Draft:
        """The whole draft."""
        beyond = (*changes_beyond(self._scanned), *cards_beyond(self._scanned))
        said = (*self._scanned.claims, *sorted(beyond, key=lambda claim: claim.start))
        claims = [one for claim in said[:MOST_CLAIMS] if (one := self._claim(claim)) is not None]
        claims += self._equations()
        merged = self._scenarios.merged(claim.scenario for claim in claims)
        claims = [replace(claim, scenario=merged[claim.scenario]) if claim.scenario else claim for claim in claims]
        for claim in said[MOST_CLAIMS:]:
            self._leave(claim.start, claim.end, "the draft holds no more claims")
        headings = self._scanned.document.headings
        title = printable(headings[0].text[:_LONGEST_TITLE]).strip() if headings else ""
        self._loose += loose_figures(self._scanned, said)
        return Draft(
            title or None,
            tuple(sorted(claims, key=lambda claim: claim.line)),
            self._scenarios.made,
            self._places.values,
            tuple(sorted(self._loose, key=lambda one: one.line)),
            self._units(),
            {name: tuple(sorted(self._whole.numbers(name))) for name in SETTINGS},
        )

    def _units(self) -> tuple[str, Source] | None:
        """What the document says a GB is, where it says one thing once."""
        text = self._scanned.document.text
        said = [(name, match.group()) for name, pattern in GIGABYTE.items() for match in pattern.finditer(text)]
        quote = Quote(escaped(said[0][1]), DRAFTED) if len(said) == 1 else None
        found = find_quote(self._scanned.document, quote, hint=False) if quote else None
        return (said[0][0], quote) if quote and isinstance(found, Match) else None

    def _claim(self, claim: FoundClaim) -> DraftedClaim | None:
        found = self._places.source(claim.start, claim.end)
        if found is None:
            self._leave(claim.start, claim.end, "no quote of it can be told from others")
            return None
        line = self._places.line(claim.start)
        if claim.quantity == "gpu_memory":
            return self._card(claim, found, line)
        if claim.quantity == "change":
            return self._change(claim, found, line)
        if claim.quantity not in JUDGED:
            return DraftedClaim(line, claim.quantity, found.source, None, _NEVER_JUDGED.get(claim.quantity, "of what?"))
        return self._of_scenario(claim, found, line)

    def _of_scenario(self, claim: FoundClaim, found: Found, line: int) -> DraftedClaim:
        around = passages(self._scanned.meant, claim)
        quantity = doubtful_quantity(claim) or claim.quantity
        said = stated(quantity, around, self._whole)
        overrides, question = self._fit(claim, found, around) if quantity == "fits" else ({}, None)
        if quantity != claim.quantity:
            question = f"{quantity} or {claim.quantity}?".replace("_", " ")
        question = question or sums(claim, quantity, self._places.equation(claim.start))
        question = _unlike(claim, found) or question or doubt(claim, quantity, around, said, self._whole)
        scenario, own = self._scenario(quantity, said, gpu=not overrides)
        overrides = {**overrides, **own}
        if scenario is None:
            overrides, question = {}, question or "which scenario? what is said of it contradicts itself"
        subject = {} if quantity != "fits" or claim.mark is not None else {"says": "fits"}
        if quantity == "fits" and said.value("method") == "inference" and loads(around.sentence):
            subject["phase"] = "load"
        return DraftedClaim(line, quantity, found.source, scenario, question, overrides, subject)

    def _fit(self, claim: FoundClaim, found: Found, around: Passages) -> tuple[dict[str, str], str | None]:
        """The card that a statement of fit is about, as a value of the document, and what must be asked first."""
        if claim.mark is not None:
            span = card_of_mark(self._scanned.meant, claim)
            if span is None or parse_mark(found.text) is None:
                return {}, "on which card?"
            card = self._places.source(*span)
            if card is None:
                return {}, "on which card?"
        else:
            card = found
        if not is_card(plain(card.text)):
            return {}, "on which card?"
        name = self._places.value("card", self._places.line(claim.start), card.source)
        return {"gpu": f"{{{name}}}"}, is_about_fit(claim, around.sentence)

    def _scenario(self, quantity: str, said: Stated, *, gpu: bool) -> tuple[str | None, dict[str, str]]:
        """The scenario that a claim is about, as far as it is stated, and what is said of its own part alone.

        There is none where model or method are not stated.
        """
        fields = fields_of(quantity, said)
        if not gpu:
            fields.pop("gpu", None)
        known, now = self._fields(fields)
        own = {name: known.pop(name).value for name in OF_A_PART if name in known}
        if "model" not in known:
            return None, {}
        if "method" not in known:
            if quantity not in {"parameters", "weights"}:
                return None, {}
            known["method"] = DraftedField("inference", None, ANY_METHOD)
        return self._scenarios.of(known, now), own

    def _fields(self, fields: Mapping[str, Said]) -> tuple[dict[str, DraftedField], dict[str, str]]:
        """Fields as they are written, and the values of those that are read from the document."""
        known: dict[str, DraftedField] = {}
        now: dict[str, str] = {}
        for name, one in fields.items():
            value, line = one.value, self._places.line(one.offset)
            if one.number is not None:
                found = self._places.source(*one.number)
                if found is None or str(read_field(name, found.text)) != value:
                    continue
                now[name] = value
                value = f"{{{self._places.value(name, line, found.source)}}}"
            why = reason_of(name, one)
            known[name] = DraftedField(value, None if why else line, why)
        return known, now

    def _card(self, claim: FoundClaim, found: Found, line: int) -> DraftedClaim:
        """The memory of a card: judged where the document leaves no doubt which card has it."""
        gpu = claim.context.get("gpu")
        if gpu is None or _unlike(claim, found):
            return DraftedClaim(line, "gpu_memory", found.source, None, "of which card?")
        what = "usable" if cues.is_had(claim.after) else "marketing"
        return DraftedClaim(line, "gpu_memory", found.source, None, None, {}, {"gpu": gpu, "what": what})

    def _change(self, claim: FoundClaim, found: Found, line: int) -> DraftedClaim:
        """A share of change: judged where both of its ends stand beside it."""
        read = self._places.read(claim.start)
        if claim.value is None or claim.value.unit.dimension is Dimension.BYTES:
            read = None
        ends = ends_of(claim, read) if read else None
        spans = [(read.piece.start + value.start, read.piece.start + value.end) for value in ends or () if read]
        named = []
        for span in spans or ends_in_row(self._scanned.meant, claim):
            source = self._places.source(*span)
            if source is not None and parse_value(source.text) is not None:
                named.append(self._places.value("figure", line, source.source))
        if len(named) == 2 and not _unlike(claim, found):
            return DraftedClaim(line, "change", found.source, start=named[0], end=named[1])
        return DraftedClaim(line, "change", found.source, None, _NEVER_JUDGED["change"])

    def _equations(self) -> Iterator[DraftedClaim]:
        """Written arithmetic that the checks without a spec could work out."""
        for read in self._scanned.pieces:
            for equation in read.equations:
                start = read.piece.start + equation.start
                end = read.piece.start + closed(read.text, equation.start, equation.end)
                true = self._settled.get((start, "arithmetic"))
                if true is None or not (true or is_of_memory(read, equation)):
                    continue
                found = self._places.source(start, end)
                if found is None:
                    self._leave(start, end, "no quote of it can be told from others")
                else:
                    yield DraftedClaim(self._places.line(start), "arithmetic", found.source)

    def _leave(self, start: int, end: int, why: str) -> None:
        self._loose.append(Loose(self._places.line(start), self._scanned.written(start, end), why))


def _elsewhere(numbers: Mapping[int, int]) -> str:
    """A remark on what the document names elsewhere for a setting, with the lines."""
    named = [f"line {line} names {number:,}" for number, line in sorted(numbers.items())[:3]]
    return f"; {', '.join(named)}" if named else ""


def _unlike(claim: FoundClaim, found: Found) -> str | None:
    """Whether the text in a slot, as it stands in the file, differs from the figure that was meant."""
    if claim.value is None:
        return None
    implied = unit_of_heading(found.source.column) if isinstance(found.source, Cell) else None
    dimension = claim.value.unit.dimension
    read = parse_value(found.text, dimension, implied=implied if implied and implied.dimension is dimension else None)
    same = read is not None and read.printed == claim.value.printed and read.unit.readings == claim.value.unit.readings
    return None if same else "the figure cannot be read by itself: is its unit elsewhere, or its encoding broken?"
