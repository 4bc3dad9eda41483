"""Resolves written scenarios: fills in what they inherit from defaults and from the scenarios that they extend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from toolkit.finding import Finding, Place
from toolkit.spec.fields.registry import GROUPS
from toolkit.spec.fields.value import Field
from toolkit.spec.quote import Quote
from toolkit.spec.scenario import Scenario, applying, merged
from toolkit.spec.stated import stated_fields
from toolkit.spec.written.spec import ScenarioWritten
from toolkit.spec.yaml.known import meant, shown
from toolkit.spec.yaml.node import Entries, Node, place_of_key

MAX_CHAIN = 8

Layer = Mapping[str, Field | None]
"""Fields by name; None stands for a field or group that is removed again."""


@dataclass(slots=True)
class ScenarioBuilder:
    """Resolves scenarios; `spoilt` are those that lost a field to a mistake already reported.

    `lost` are those, and those that extend them: what they lack is no mistake of their own.
    """

    path: str
    written: Mapping[str, ScenarioWritten]
    raw: Entries
    defaults: Layer
    spoilt: frozenset[str]
    findings: list[Finding] = field(default_factory=list)
    layers: dict[str, Layer] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def build(self) -> dict[str, Scenario]:
        """Every scenario, in the order of the file."""
        return {name: self._scenario(name) for name in self.written}

    def _scenario(self, name: str) -> Scenario:
        defaults = {key: _taken_over(said) for key, said in self.defaults.items() if said is not None}
        fields = merged(defaults, self._layer(name, ()))
        return Scenario(name, place_of_key(self.raw, name, self.path), applying(fields), self.written[name].title)

    def _layer(self, name: str, chain: tuple[str, ...]) -> Layer:
        """The fields of a scenario and of those that it extends, without the defaults."""
        if name not in self.layers:
            written, raw = self.written[name], self.raw.get(name)
            own = stated_fields(written, raw, self.path, written.quotes)
            if name in self.spoilt:
                self.lost.add(name)
            self._check_quotes(name, written.quotes or {}, raw, own)
            extended = self._extended(written, raw, (*chain, name))
            if extended is None:
                self.lost.add(name)
            self.layers[name] = _over(extended or {}, own)
        return self.layers[name]

    def _extended(self, written: ScenarioWritten, raw: Node | None, chain: tuple[str, ...]) -> Layer | None:
        """The fields of the extended scenario; None if some of them cannot be known."""
        name = written.extends
        if name is None:
            return {}
        place = place_of_key(raw, "extends", self.path) if isinstance(raw, Entries) else Place(self.path)
        if name in chain:
            said = f"scenarios extend each other in a circle: {', '.join([*chain, name])}"
            self.findings.append(Finding(place, "S113", shown(said)))
        elif len(chain) > MAX_CHAIN:
            self.findings.append(Finding(place, "S112", f"scenarios extend each other more than {MAX_CHAIN} deep"))
        elif name in self.written:
            layer = {key: said and _taken_over(said) for key, said in self._layer(name, chain).items()}
            if name in self.lost:
                self.lost.add(chain[-1])
            return layer
        elif name not in self.spoilt:
            self.findings.append(unknown_scenario(name, self.written, place))
        return None

    def _check_quotes(self, name: str, quotes: Mapping[str, Quote], raw: Node | None, own: Layer) -> None:
        """Reports quotes of fields that the scenario does not state."""
        for key, quote in quotes.items():
            said = key in own or any(stated.startswith(f"{key}.") for stated in own)
            if not said and name not in self.spoilt:
                self.findings.append(_needless_quote(key, quote, raw, self.path))


def unknown_scenario(name: str, known: Mapping[str, object], place: Place) -> Finding:
    """The finding for a reference to a scenario that the spec does not have."""
    guess = meant(name, known)
    listed = f"; known: {', '.join(list(known)[:10])}" if known else "; the spec has none"
    return Finding(place, "S108", f"no scenario is called {shown(name)}{listed}", f"write {guess}" if guess else None)


def _over(base: Layer, own: Layer) -> dict[str, Field | None]:
    forgotten = tuple(f"{name}." for name, said in own.items() if said is None and name in GROUPS)
    kept = {name: said for name, said in base.items() if not forgotten or not name.startswith(forgotten)}
    return {**kept, **own}


def _taken_over(said: Field) -> Field:
    return said if said.origin == "inherited" else replace(said, origin="inherited")


def _needless_quote(key: str, quote: Quote, raw: Node | None, path: str) -> Finding:
    quotes = raw.get("quotes") if isinstance(raw, Entries) else None
    place = place_of_key(quotes, key, path) if isinstance(quotes, Entries) else quote.place
    return Finding(
        place,
        "S113",
        f"quotes has {key}, which this scenario does not say",
        f"add {key}:, or delete the quote",
    )
