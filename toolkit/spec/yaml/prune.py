"""Removes broken parts of a spec, so that the rest is checked in the same run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from toolkit.spec.yaml.node import Entries, Items, Node
from toolkit.spec.yaml.translate import Location

_DIVISIBLE = ("scenarios", "defaults", "values")
"""Sections whose entries are independent of each other."""


@dataclass(slots=True)
class Broken:
    """The names of what was taken out: nothing that refers to them is a mistake of its own.

    `scenarios` are scenarios that lost fields, by name; the empty name stands for `defaults`.
    """

    keys: set[str] = field(default_factory=set)
    scenarios: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    claims: bool = False

    def add(self, other: Broken) -> None:
        """Adds what was removed in another round."""
        self.keys |= other.keys
        self.scenarios |= other.scenarios
        self.values |= other.values
        self.claims = self.claims or other.claims


def prune(root: Entries, locations: Iterable[Location]) -> Broken:
    """Removes, around each location, the smallest part that the rest does not need."""
    broken = Broken()
    doomed: dict[int, tuple[Entries | Items, set[int | str]]] = {}
    for location in locations:
        _note(broken, location)
        holder, key = _victim(root, location)
        doomed.setdefault(id(holder), (holder, set()))[1].add(key)
    for holder, keys in doomed.values():
        if isinstance(holder, Entries):
            for key in keys:
                holder.pop(str(key), None)
        else:
            holder[:] = [item for index, item in enumerate(holder) if index not in keys]
    return broken


def _note(broken: Broken, location: Location) -> None:
    section = str(location[0]) if location else ""
    named = str(location[1]) if len(location) > 1 else ""
    if section == "scenarios" and named:
        broken.scenarios.add(named)
    elif section == "defaults":
        broken.scenarios.add("")
    elif section == "values" and named:
        broken.values.add(named)
    elif section == "claims":
        broken.claims = True
    if len(location) == 1:
        broken.keys.add(section)


def _victim(root: Entries, location: Location) -> tuple[Entries | Items, int | str]:
    """The container and key to remove: a field of a scenario, a value, a claim, or a whole section."""
    first, *rest = location or ("",)
    section = root.get(str(first))
    if first == "claims" and isinstance(section, Items) and rest:
        return _claim(section, rest)
    if first in _DIVISIBLE and isinstance(section, Entries) and rest and rest[0] in section:
        inner = section[str(rest[0])]
        if first == "scenarios" and isinstance(inner, Entries) and len(rest) > 1 and rest[1] in inner:
            return inner, rest[1]
        return section, rest[0]
    return root, first


def _claim(claims: Items, location: Location) -> tuple[Entries | Items, int | str]:
    """The innermost claim or group that a location lies in."""
    holder, index, rest = claims, location[0], list(location[1:])
    node: Node | None = claims[index] if isinstance(index, int) and index < len(claims) else None
    while len(rest) > 1 and rest[0] == "claims" and isinstance(node, Entries):
        inner = node.get("claims")
        if not isinstance(inner, Items) or not isinstance(rest[1], int) or rest[1] >= len(inner):
            break
        holder, index, node = inner, rest[1], inner[rest[1]]
        rest = rest[2:]
    return holder, index
