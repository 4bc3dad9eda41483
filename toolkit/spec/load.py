"""Loads specs: every mistake of every file, and the specs that have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.finding import Finding, Place, Severity
from toolkit.spec.build_scenarios import ScenarioBuilder
from toolkit.spec.check import UNNAMED, Checker, scenario_findings, with_model, with_model_types
from toolkit.spec.claim import Claim
from toolkit.spec.document_spec import Spec, Units
from toolkit.spec.fields.value import Field
from toolkit.spec.flatten import Flattener
from toolkit.spec.gather import in_order, spec_files, together
from toolkit.spec.identify import identified
from toolkit.spec.look_up import LookUp
from toolkit.spec.paths import real_path, shown_path
from toolkit.spec.scenario import Scenario
from toolkit.spec.stated import Keys, stated_fields
from toolkit.spec.walk import slug_of
from toolkit.spec.written.spec import ScenarioFile, SpecFields
from toolkit.spec.yaml.compose import compose
from toolkit.spec.yaml.known import limited_guesses
from toolkit.spec.yaml.node import Entries, place_of, place_of_key, typed
from toolkit.spec.yaml.prune import Broken
from toolkit.spec.yaml.read_file import as_entries, read_entries
from toolkit.spec.yaml.validate import validated

FLAGS = "command line"
"""The path in findings about flags."""


def load_specs(paths: Iterable[Path], root: Path) -> tuple[list[Spec], list[Finding]]:
    """The specs in files and folders, without those that have mistakes, and the mistakes of all of them."""
    files, findings = spec_files(paths, root)
    return together([load_spec(path, root) for path in files], findings)


def load_spec(path: Path, root: Path) -> tuple[Spec | None, list[Finding]]:
    """The spec in a file, or None with every mistake in it."""
    return _spec(path, root, *read_entries(path, root, "a spec"))


def spec_from_text(text: str, path: Path, root: Path) -> tuple[Spec | None, list[Finding]]:
    """The spec that a file would hold with this text, or None with every mistake in it."""
    shown = shown_path(path, root)
    node, findings = compose(text, shown)
    return _spec(path, root, as_entries(node, findings, shown, "a spec"), findings)


def _spec(
    path: Path, root: Path, entries: Entries | None, findings: list[Finding]
) -> tuple[Spec | None, list[Finding]]:
    if entries is None:
        return None, in_order(findings)
    with limited_guesses():
        spec = _Loading(path, root, shown_path(path, root), entries, findings).run()
    broken = any(finding.severity is Severity.ERROR for finding in findings)
    return (None if broken else spec), in_order(findings)


def load_scenario(
    path: Path, root: Path, flags: Mapping[str, str] | None = None
) -> tuple[Scenario | None, list[Finding]]:
    """The scenario in a file that holds nothing else, or None, with every mistake in it; flags override fields."""
    entries, findings = read_entries(path, root, "a scenario")
    if entries is None:
        return None, in_order(findings)
    shown = shown_path(path, root)
    stated, title = _stated(entries, shown, findings)
    over, wrong = fields_from_flags(flags or {})
    findings += wrong
    if stated is None or over is None:
        return None, in_order(findings)
    scenario = Scenario(slug_of(path), Place(shown), stated, title)
    return checked_scenario(scenario.with_fields(over), path.parent, findings)


def scenario_from_flags(flags: Mapping[str, str], base: Path) -> tuple[Scenario | None, list[Finding]]:
    """The scenario that flat fields describe ("lora.rank": "16"); lists and ranges are written as in YAML."""
    fields, findings = fields_from_flags(flags)
    if fields is None:
        return None, in_order(findings)
    return checked_scenario(Scenario(UNNAMED, Place(FLAGS), fields), base, findings)


def fields_from_flags(flags: Mapping[str, str]) -> tuple[dict[str, Field] | None, list[Finding]]:
    """Fields from the texts of flags, and findings about them; None where one cannot be read."""
    findings: list[Finding] = []
    entries = _entries()
    for name, text in flags.items():
        node, found = compose(text, FLAGS) if text[:1] in ("[", "{") else (typed(text), [])
        findings += [Finding(Place(FLAGS), one.code, f"{name}: {one.message}", one.repair) for one in found]
        group, _, inner = name.partition(".")
        entries.keys_at[group] = typed(group)
        holder = entries.setdefault(group, _entries()) if inner else entries
        if node is not None and isinstance(holder, Entries):
            holder[inner or group] = node
            holder.keys_at[inner or group] = typed(inner or group)
    return _stated(entries, FLAGS, findings)[0], findings


def checked_scenario(
    scenario: Scenario, base: Path, findings: Iterable[Finding] = ()
) -> tuple[Scenario | None, list[Finding]]:
    """A scenario outside of specs, with the type of its model, or None, with all findings about it."""
    look_up = LookUp(base)
    found = [*findings, *scenario_findings(scenario, look_up, narrows=False)]
    found += [
        Finding(scenario.place_of(key), "S108", f"{key}: there is no document here to read a value from")
        for key in scenario.unresolved
    ]
    if found:
        return None, in_order(found)
    return with_model(scenario, look_up), []


def _stated(entries: Entries, shown: str, findings: list[Finding]) -> tuple[dict[str, Field] | None, str | None]:
    """The fields of a scenario, without those that are broken, and its title; None where a whole key is broken."""
    with limited_guesses():
        written, broken = validated(ScenarioFile, entries, shown, findings)
    stated = {key: said for key, said in stated_fields(written, entries, shown).items() if said is not None}
    return (None if broken.keys else stated), written.title


def _entries() -> Entries:
    entries = Entries()
    entries.line = entries.column = 1
    return entries


@dataclass(slots=True)
class _Loading:
    """One spec on its way from a YAML tree."""

    path: Path
    root: Path
    shown: str
    entries: Entries
    findings: list[Finding]
    broken: Broken = field(default_factory=Broken)

    def run(self) -> Spec:
        """The spec, as far as it can be made; mistakes go to `findings`."""
        top_level = {key: place_of_key(self.entries, key, self.shown) for key in self.entries.keys_at}
        written, self.broken = validated(SpecFields, self.entries, self.shown, self.findings)
        self._needed(written)
        look_up = LookUp(self.path.parent)
        scenarios = with_model_types(self._scenarios(written), look_up)
        slug = written.slug or slug_of(self.path)
        claims = self._claims(written, slug)
        checker = Checker(scenarios, written.values or {}, self.broken, look_up)
        self.findings += checker.run(claims)
        return Spec(
            path=self.path.absolute(),
            shown_path=self.shown,
            slug=slug,
            document_path=self._document(written.document or ""),
            claims=claims,
            title=written.title,
            source={key: text for key, text in written.source if text is not None} if written.source else {},
            units=Units(written.units.GB, written.units.quote) if written.units else None,
            values=written.values or {},
            scenarios=scenarios,
            places=top_level,
            marks=bool(written.marks),
        )

    def _needed(self, written: SpecFields) -> None:
        for name in ("document",) if written.marks else ("document", "claims"):
            if name not in written.model_fields_set and name not in self.broken.keys:
                self.findings.append(Finding(Place(self.shown), "S105", f"a spec needs {name}", f"add {name}:"))
        if written.claims == [] and not self.broken.claims:
            place = place_of_key(self.entries, "claims", self.shown)
            self.findings.append(Finding(place, "S105", "a spec needs claims, and this list is empty", "add a claim"))

    def _document(self, written: str) -> Path:
        """The document's path; one that leads out of the root is a finding."""
        document = self.path.parent / written
        if not real_path(document).is_relative_to(real_path(self.root)):
            message = "document: the path leads out of the folder that is checked"
            node = self.entries.get("document")
            place = place_of(node, self.shown) if node is not None else Place(self.shown)
            self.findings.append(Finding(place, "S109", message))
        return document.absolute()

    def _scenarios(self, written: SpecFields) -> dict[str, Scenario]:
        raw = self.entries.get("scenarios")
        shared = written.defaults
        defaults = {}
        if shared is not None:
            defaults = stated_fields(shared, self.entries.get("defaults"), self.shown, shared.quotes)
        builder = ScenarioBuilder(
            self.shown,
            written.scenarios or {},
            raw if isinstance(raw, Entries) else _entries(),
            defaults,
            frozenset(self.broken.scenarios),
        )
        scenarios = builder.build()
        self.findings += builder.findings
        self.broken.scenarios |= builder.lost
        return scenarios

    def _claims(self, written: SpecFields, slug: str) -> tuple[Claim, ...]:
        flattener = Flattener(self.shown)
        flattener.items(written.claims or [], self.entries.get("claims"), Keys())
        self.findings += flattener.findings
        claims, repeated = identified(flattener.claims, slug)
        self.findings += repeated
        return claims
