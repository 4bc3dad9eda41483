"""Binds a spec to its document: finds the text of every claim, named value and quote of a scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from toolkit.documents.cells import find_cell
from toolkit.documents.document import Document
from toolkit.documents.drift import says, written
from toolkit.documents.match import Match
from toolkit.documents.quotes import find_quote
from toolkit.documents.read_field import read_field
from toolkit.documents.wording import shown
from toolkit.finding import Finding, Place, printable
from toolkit.frozen import frozen
from toolkit.quantity import Value, parse_value
from toolkit.spec.claim import Claim
from toolkit.spec.document_spec import Spec
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.fields.value import Field, Reference
from toolkit.spec.quote import Cell, Name, Operand, Source
from toolkit.spec.scenario import Scenario

_HINTS = 100  # lost quotes for which the nearest text is looked up; all are reported


@frozen
class BoundValue:
    """The text of a slot, or of a whole quote without one, and its place in the document."""

    text: str
    place: Place

    @property
    def value(self) -> Value | None:
        """The text as one value, if it is one."""
        return parse_value(self.text)


@frozen
class BoundClaim:
    """A claim and the text that states it.

    `place` and `quote_text` are those of the whole quote or cell, `slot_place` and `slot_text` those of the
    claimed value in it, None where the quote has no slot. `where`, `terms`, `start` and `end` are those of
    the claim, read from the document; a name of a value has become that value, one of a scenario stays.
    """

    claim: Claim
    place: Place
    quote_text: str
    slot_text: str | None
    slot_place: Place | None
    where: Mapping[str, BoundValue] = field(default_factory=dict)
    terms: tuple[BoundValue | Name, ...] = ()
    start: BoundValue | Name | None = None
    end: BoundValue | Name | None = None

    @property
    def row(self) -> str | None:
        """The label of the row, for a cell."""
        return self.claim.source.row if isinstance(self.claim.source, Cell) else None

    @property
    def column(self) -> str | None:
        """The label of the column, for a cell."""
        return self.claim.source.column if isinstance(self.claim.source, Cell) else None


@frozen
class Binding:
    """The claims and values of a spec as found in its document, and findings; claims with lost quotes are left out."""

    claims: tuple[BoundClaim, ...]
    values: Mapping[str, BoundValue]
    findings: tuple[Finding, ...]


def bind(spec: Spec, document: Document) -> Binding:
    """Finds everything that a spec points at in its document; lost, ambiguous and contradicted quotes are findings."""
    binder = _Binder(document)
    for name, source in spec.values.items():
        value = binder.value(source, f"value {name}")
        if value is not None:
            binder.values[name] = value
    if spec.units is not None:
        binder.match(spec.units.quote, "units")
    binder.scenarios(spec.scenarios.values())
    claims = [bound for claim in spec.claims if (bound := binder.claim(claim)) is not None]
    if spec.marks:
        claims += binder.marked(spec)
    return Binding(tuple(claims), binder.values, tuple(binder.findings))


class _Binder:
    """Binds one thing after the other, and collects findings."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values: dict[str, BoundValue] = {}
        self.findings: list[Finding] = []

    def match(self, source: Source, subject: str) -> Match | None:
        """The match of a quote or cell; if there is none, adds a finding that names the subject."""
        hint = len(self.findings) < _HINTS
        if isinstance(source, Cell):
            result = find_cell(self.document, source, hint=hint)
        else:
            result = find_quote(self.document, source, hint=hint)
        if isinstance(result, Finding):
            self.findings.append(replace(result, message=f"{printable(subject)}: {result.message}"))
            return None
        return result

    def value(self, source: Source, subject: str) -> BoundValue | None:
        """The value in the slot of a quote or cell, or the quote as a whole."""
        match = self.match(source, subject)
        if match is None:
            return None
        if match.slots:
            slot = match.slots[0]
            return BoundValue(slot.text, self.document.place(slot.start, slot.end))
        return BoundValue(match.quote_text, self.document.place(match.start, match.end))

    def claim(self, claim: Claim) -> BoundClaim | None:
        """A claim with everything that it points at; None if some of it is not found."""
        known = len(self.findings)
        subject = f"claim {claim.id}"
        match = self.match(claim.source, subject)
        where = {name: self.value(source, f"{subject}, {name}") for name, source in claim.where.items()}
        terms = [self._operand(term, subject) for term in claim.terms]
        start, end = (self._operand(side, subject) for side in (claim.start, claim.end))
        for name, said in claim.overrides.items():
            if said is not None and isinstance(said.value, Reference):
                self._reference(name, said, said.value, subject)
        if match is None or len(self.findings) > known:
            return None
        slot = match.slots[0] if match.slots else None
        return BoundClaim(
            claim,
            self.document.place(match.start, match.end),
            match.quote_text,
            slot.text if slot else None,
            self.document.place(slot.start, slot.end) if slot else None,
            {name: bound for name, bound in where.items() if bound is not None},
            tuple(term for term in terms if term is not None),
            start,
            end,
        )

    def marked(self, spec: Spec) -> list[BoundClaim]:
        """The claims that the document marks in comments."""
        from toolkit.documents.directives.mark import marked_claims  # noqa: PLC0415 - few documents mark claims

        found, wrong = marked_claims(spec, self.document)
        self.findings += wrong
        places = [self.document.place(one.start, one.end) for one in found]
        return [
            BoundClaim(one.claim, place, one.quote, self.document.text[one.start : one.end], place)
            for one, place in zip(found, places, strict=True)
        ]

    def _operand(self, operand: Operand | None, subject: str) -> BoundValue | Name | None:
        if isinstance(operand, Name):
            return self.values.get(operand.text, operand)
        return None if operand is None else self.value(operand, subject)

    def scenarios(self, scenarios: Iterable[Scenario]) -> None:
        """Checks the quotes of fields, each once, however many scenarios inherit it."""
        quoted: dict[Place, dict[str, Field]] = {}
        names: dict[Place, str] = {}
        for scenario in scenarios:
            for name, said in scenario.fields.items():
                if isinstance(said.value, Reference):
                    self._reference(name, said, said.value, f"scenario {scenario.name}")
                if said.quote is not None:
                    quoted.setdefault(said.quote.place, {}).setdefault(name, said)
                    names.setdefault(said.quote.place, scenario.name)
        for place, fields in quoted.items():
            self._fields(names[place], fields)

    def _fields(self, scenario: str, fields: Mapping[str, Field]) -> None:
        """Checks the fields that share a quote; a slot is compared if it can only be about one of them."""
        name, said = next(iter(fields.items()))
        assert said.quote is not None
        subject = f"scenario {scenario}, {name if len(fields) == 1 else name.partition('.')[0]}"
        match = self.match(said.quote, subject)
        if match is None or not match.slots or len(fields) > 1 or isinstance(said.value, Reference):
            return
        slot = match.slots[0]
        if not says(slot.text, said.value):
            place = printable(str(self.document.place(slot.start)))
            message = f"{subject} is {written(said.value)} in the spec, but {place} says {shown(slot.text)}"
            repair = f"Type {name} as the document states it now, or quote where it still says so."
            self.findings.append(Finding(said.place, "D208", printable(message), printable(repair)))

    def _reference(self, name: str, said: Field, reference: Reference, subject: str) -> None:
        """Checks a field whose value is read from the document: the field must allow that value."""
        bound = self.values.get(reference.name)
        if bound is None or read_field(name, bound.text) is not None:
            return
        message = (
            f"{subject}, {name}: value {reference.name} at {bound.place} is {shown(bound.text)}, "
            f"not {FIELDS[name].kind.wanted}"
        )
        finding = Finding(
            said.place, "D204", printable(message), "Move the slot of the value so that it holds no more."
        )
        if finding not in self.findings:
            self.findings.append(finding)
