"""A spec: the scenarios and claims of one document, checked and flattened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.spec.claim import Claim
from toolkit.spec.quote import Cell, Quote
from toolkit.spec.scenario import Scenario


@frozen
class Units:
    """What the document itself says a GB is: "decimal" or "binary", with the quote that says so."""

    reading: str
    quote: Quote


@frozen
class Spec:
    """What is claimed of one document.

    `path` and `document_path` are absolute; `shown_path` is the spec's path for messages. `values` are named
    figures of the document. With `marks`, the document states claims in comments of its own.
    """

    path: Path
    shown_path: str
    slug: str
    document_path: Path
    claims: tuple[Claim, ...]
    title: str | None = None
    source: Mapping[str, str] = field(default_factory=dict)
    units: Units | None = None
    values: Mapping[str, Quote | Cell] = field(default_factory=dict)
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    marks: bool = False

    def scenario_of(self, claim: Claim) -> Scenario | None:
        """The scenario of a claim, with what the claim says anew; None for a claim about no scenario."""
        if claim.scenario is None:
            return None
        scenario = self.scenarios[claim.scenario]
        return scenario.with_fields(claim.overrides)

    def place_of(self, key: str) -> Place:
        """Where a top-level key stands in the spec; its start if it has none."""
        return self.places.get(key, Place(self.shown_path))
