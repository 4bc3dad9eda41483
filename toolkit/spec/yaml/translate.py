"""Translates pydantic's errors into findings: with the place in the YAML, our code, and plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from toolkit.finding import Finding, Place
from toolkit.spec.schema_walk import fields_at
from toolkit.spec.yaml.known import meant, shown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar, place_of, place_of_key
from toolkit.spec.yaml.scalar import described

Location = Sequence[int | str]

_EXPECTED = {
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "dict_type": "a mapping",
    "list_type": "a list",
}
KEY = "[key]"
_ADDED = {"table": "add table: with the heading that it stands under, or table: {} for the document's first"}
"""The repair for a missing field whose name does not say what its value looks like."""


def findings_of(error: ValidationError, root: Node, path: str, model: type[BaseModel]) -> list[Finding]:
    """A finding for every error of pydantic, at its place."""
    found = []
    for item in error.errors(include_url=False, include_context=True):
        location = item["loc"]
        trail = walk(root, location)
        if isinstance(trail[-1], Scalar) and trail[-1].refused:
            continue
        found.append(_finding(item, location, trail, path, model))
    return found


def walk(root: Node, location: Location) -> list[Node]:
    """The nodes from the root to a location, as far as they exist."""
    trail = [root]
    for part in location:
        node = trail[-1]
        inner = child(node, part)
        if inner is not None:
            trail.append(inner)
    return trail


def child(node: Node, part: int | str) -> Node | None:
    """The node behind a key or an index."""
    if isinstance(node, Entries):
        return node.get(part) if isinstance(part, str) else None
    return node[part] if isinstance(node, Items) and isinstance(part, int) and part < len(node) else None


def key_before(root: Node, location: Location, path: str) -> Place | None:
    """The place of the last key or item on the way to a location: where a mapping is introduced."""
    node, place = root, None
    for part in location:
        inner = child(node, part)
        if inner is None:
            continue
        place = place_of_key(node, str(part), path) if isinstance(node, Entries) else place_of(inner, path)
        node = inner
    return place


def _finding(item: Any, location: Location, trail: list[Node], path: str, model: type[BaseModel]) -> Finding:
    kind, node = item["type"], trail[-1]
    name = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        return _unknown_field(name, location, trail, path, model)
    if kind == "missing":
        place = key_before(trail[0], location[:-1], path) or place_of(trail[0], path)
        return Finding(place, "S105", f"{_owner(location)}needs {name}", _ADDED.get(name, f"add {name}:"))
    if name == KEY:
        holder = walk(trail[0], location[:-2])[-1]
        place = place_of_key(holder, str(location[-2]), path) if isinstance(holder, Entries) else place_of(node, path)
        return _said(item, place, "")
    if kind in _EXPECTED:
        message = f"{_prefix(location)}{described(node)} is not {_EXPECTED[kind]}"
        return Finding(place_of(node, path), "S104", message)
    return _said(item, place_of(node, path), _prefix(location))


def _said(item: Any, place: Place, prefix: str) -> Finding:
    """A refusal of one of our own readers; anything else that pydantic says is put in its words."""
    context = item.get("ctx", {})
    if "message" not in context:
        return Finding(place, "S104", f"{prefix}{item['msg']}")
    return Finding(place, item["type"], f"{prefix}{context['message']}", context["repair"])


def _prefix(location: Location) -> str:
    names = [part for part in location if isinstance(part, str) and part != KEY]
    return f"{shown(names[-1])}: " if names else ""


def _owner(location: Location) -> str:
    """What lacks a field: "acknowledged ", "scenarios.full ", or nothing for the file itself."""
    names = [str(part) for part in location[:-1] if isinstance(part, str) and part != KEY]
    return f"{shown(names[-1])} " if names else ""


def _unknown_field(name: str, location: Location, trail: list[Node], path: str, model: type[BaseModel]) -> Finding:
    holder = walk(trail[0], location[:-1])[-1]
    place = place_of_key(holder, name, path) if isinstance(holder, Entries) else place_of(holder, path)
    known = fields_at(model, location[:-1])
    guess = meant(name, known)
    said = f"{shown(name)} is no field here; known: {', '.join(known)}"
    return Finding(place, "S103", said, f"write {guess}" if guess else None)
