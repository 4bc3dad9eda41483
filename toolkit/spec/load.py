"""Loads specs: every mistake of every file, and the specs that have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from toolkit.finding import Finding, Place, Severity
from toolkit.spec.build_scenarios import ScenarioBuilder
from toolkit.spec.check import UNNAMED, Checker, scenario_findings, with_model_types
from toolkit.spec.claim import Claim
from toolkit.spec.compose import compose
from toolkit.spec.document_spec import Spec, Units
from toolkit.spec.flatten import Flattener
from toolkit.spec.identify import identified
from toolkit.spec.known import limited_guesses
from toolkit.spec.look_up import LookUp
from toolkit.spec.node import Entries, place_of, place_of_key, typed
from toolkit.spec.prune import Broken
from toolkit.spec.read_file import read_entries, real_path, shown_path
from toolkit.spec.scenario import Scenario
from toolkit.spec.spec_fields import ScenarioFile, SpecFields
from toolkit.spec.stated import Keys, stated_fields
from toolkit.spec.validate import validated
from toolkit.spec.walk import slug_of, spec_paths

FLAGS = "command line"
"""What the place of a flag's mistake is called."""


def load_specs(paths: Iterable[Path], root: Path) -> tuple[list[Spec], list[Finding]]:
    """The specs in files and folders, without those that have mistakes, and the mistakes of all of them."""
    files, findings = spec_files(paths, root)
    return together([load_spec(path, root) for path in files], findings)


def spec_files(paths: Iterable[Path], root: Path) -> tuple[list[Path], list[Finding]]:
    """The files of specs among paths and in folders; what is missing is a finding, and so is no path at all."""
    paths = list(paths)
    files, findings = spec_paths(paths, root)
    if not paths:
        findings.append(Finding(Place("."), "S114", "no spec is named"))
    return files, findings


def together(
    loaded: Sequence[tuple[Spec | None, list[Finding]]], findings: list[Finding]
) -> tuple[list[Spec], list[Finding]]:
    """The specs of files that were loaded one by one, and all findings; `findings` are those of the search for them."""
    specs = [spec for spec, _ in loaded if spec is not None]
    found = [*findings, *chain.from_iterable(said for _, said in loaded), *_slug_findings(specs)]
    return specs, in_order(found)


def load_spec(path: Path, root: Path) -> tuple[Spec | None, list[Finding]]:
    """The spec in a file, or None with every mistake in it."""
    entries, findings = read_entries(path, root, "a spec")
    if entries is None:
        return None, in_order(findings)
    with limited_guesses():
        spec = _Loading(path, root, shown_path(path, root), entries, findings).run()
    broken = any(finding.severity is Severity.ERROR for finding in findings)
    return (None if broken else spec), in_order(findings)


def load_scenario(path: Path, root: Path) -> tuple[Scenario | None, list[Finding]]:
    """The scenario in a file that holds nothing else, or None with every mistake in it."""
    entries, findings = read_entries(path, root, "a scenario")
    if entries is None:
        return None, in_order(findings)
    return _one_scenario(entries, shown_path(path, root), slug_of(path), path.parent, findings)


def scenario_from_flags(flags: Mapping[str, str], base: Path) -> tuple[Scenario | None, list[Finding]]:
    """The scenario that flat fields describe ("lora.rank": "16"); lists and ranges are written as in YAML."""
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
    return _one_scenario(entries, FLAGS, UNNAMED, base, findings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by path, line, column and code, each once."""
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda one: (one.place.path, one.place.line, one.place.column, one.code, one.message))


def _one_scenario(
    entries: Entries, shown: str, name: str, base: Path, findings: list[Finding]
) -> tuple[Scenario | None, list[Finding]]:
    with limited_guesses():
        written, broken = validated(ScenarioFile, entries, shown, findings)
    stated = {key: said for key, said in stated_fields(written, entries, shown).items() if said is not None}
    scenario = Scenario(name, Place(shown), stated, written.title)
    look_up = LookUp(base)
    if not broken.keys:
        findings += scenario_findings(scenario, look_up, narrows=False)
        findings += [
            Finding(scenario.place_of(key), "S108", f"{key}: there is no document here to read a value from")
            for key in scenario.unresolved
        ]
    if findings:
        return None, in_order(findings)
    return replace(scenario, model_type=look_up.model_type(scenario)), []


def _entries() -> Entries:
    entries = Entries()
    entries.line = entries.column = 1
    return entries


def _slug_findings(specs: Sequence[Spec]) -> list[Finding]:
    """Specs whose claims would have the same ids."""
    first: dict[str, Spec] = {}
    findings = []
    for spec in specs:
        earlier = first.setdefault(spec.slug, spec)
        if earlier is not spec:
            message = f"the slug {spec.slug} is that of {earlier.shown_path} too, and claim ids start with it"
            findings.append(Finding(spec.place_of("slug"), "S102", message, "add slug: with another name"))
    return findings


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
        )

    def _needed(self, written: SpecFields) -> None:
        for name in ("document", "claims"):
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
