"""Files of scenarios without claims (`grid.scenarios.yaml`), which are there to be measured."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from toolkit.finding import Finding, Place, printable
from toolkit.frozen import frozen
from toolkit.spec.build_scenarios import ScenarioBuilder
from toolkit.spec.gather import in_order
from toolkit.spec.load import checked_scenario
from toolkit.spec.paths import shown_path
from toolkit.spec.scenario import Scenario
from toolkit.spec.stated import stated_fields
from toolkit.spec.written.spec import SpecFields
from toolkit.spec.yaml.known import limited_guesses
from toolkit.spec.yaml.node import Entries, Items, place_of, place_of_key
from toolkit.spec.yaml.read_file import read_entries
from toolkit.spec.yaml.validate import validated

NAME_END = (".scenarios.yaml", ".scenarios.yml")
KEYS = ("title", "defaults", "scenarios", "speeds")
WORK = ("training", "prefill", "decode", "inference")
"""The kinds of work by which speeds are compared."""


def holds_scenarios(path: Path) -> bool:
    """Whether a file of that name holds scenarios and no claims."""
    return path.name.endswith(NAME_END)


@frozen
class Compared:
    """Two scenarios whose speeds are compared, by name, and the kind of work."""

    start: str
    end: str
    work: str


@frozen
class ScenarioList:
    """The scenarios of a file, and which of them are compared."""

    scenarios: tuple[Scenario, ...] = ()
    speeds: tuple[Compared, ...] = ()


def load_scenarios(path: Path, root: Path) -> tuple[ScenarioList, list[Finding]]:
    """The scenarios of a file, without those that have mistakes, and the mistakes of all of them."""
    entries, findings = read_entries(path, root, "a file of scenarios")
    if entries is None:
        return ScenarioList(), in_order(findings)
    shown = shown_path(path, root)
    for key in entries:
        if key not in KEYS:
            place = place_of_key(entries, key, shown)
            findings.append(Finding(place, "S103", f"a file of scenarios has {', '.join(KEYS)} and nothing else"))
    with limited_guesses():
        built = _built(entries, shown, findings)
        scenarios = []
        for scenario in built:
            checked, found = checked_scenario(scenario, path.parent)
            findings += found
            scenarios += [checked] if checked else []
    if not built and not findings:
        findings.append(Finding(Place(shown), "S105", "a file of scenarios needs scenarios", "add scenarios:"))
    speeds = tuple(_speeds(entries, {one.name for one in built}, shown, findings))
    return ScenarioList(tuple(scenarios), speeds), in_order(findings)


def _speeds(entries: Entries, known: Collection[str], shown: str, findings: list[Finding]) -> Iterator[Compared]:
    items = entries.get("speeds", Items())
    if not isinstance(items, Items):
        findings.append(Finding(place_of_key(entries, "speeds", shown), "S104", "speeds: a list is asked for"))
        return
    for item in items:
        said = {key: str(value) for key, value in item.items()} if isinstance(item, Entries) else {}
        if said.keys() != {"from", "to", "work"}:
            findings.append(Finding(place_of(item, shown), "S104", "a comparison has from, to and work", None))
        elif said["work"] not in WORK:
            findings.append(Finding(place_of(item, shown), "S107", f"work is one of {', '.join(WORK)}", None))
        elif lost := [name for name in (said["from"], said["to"]) if name not in known]:
            findings.append(Finding(place_of(item, shown), "S108", f"no scenario is called {printable(lost[0])}", None))
        else:
            yield Compared(said["from"], said["to"], said["work"])


def _built(entries: Entries, shown: str, findings: list[Finding]) -> list[Scenario]:
    """The resolved scenarios."""
    known = Entries()
    known.line, known.column = entries.line, entries.column
    for key in KEYS[:-1]:
        if key in entries:
            known[key], known.keys_at[key] = entries[key], entries.keys_at[key]
    written, broken = validated(SpecFields, known, shown, findings)
    raw, shared = known.get("scenarios"), written.defaults
    defaults = stated_fields(shared, known.get("defaults"), shown, shared.quotes) if shared is not None else {}
    rows = raw if isinstance(raw, Entries) else Entries()
    builder = ScenarioBuilder(shown, written.scenarios or {}, rows, defaults, frozenset(broken.scenarios))
    scenarios = builder.build()
    findings += builder.findings
    lost = {*broken.scenarios, *builder.lost}
    return [scenario for name, scenario in scenarios.items() if name not in lost]
