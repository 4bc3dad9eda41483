"""A training tool's configuration on its way to a scenario: what was read of it, and what was not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from pydantic_core import PydanticCustomError

from toolkit.facts.names import nearest
from toolkit.finding import Finding, Place, Severity
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.fields.value import Atom, Field, Fixed
from toolkit.spec.training_configs.scalars import (
    is_nothing,
    read_decimal,
    read_truth,
    read_whole,
    read_word,
    truth,
)
from toolkit.spec.yaml.known import may_guess, shown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar, place_of, place_of_key, typed

_Value = TypeVar("_Value")
_INTERPOLATION = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)\}")
DELETE = "delete it to estimate without it"
MAX_UNREAD = 200
"""How many unread keys get a finding each; further ones are only counted."""


ALIKE = 0.75
"""How similar an unread key must be to a known one (0 to 1) to be taken for a misspelling."""


@dataclass(slots=True)
class Config:
    """The keys of one file. Readers ask for keys by name (dots lead into mappings) and put fields of a scenario.

    `said` are the fields stated on the command line: they are not taken from the file. `remarks` tell for each field
    which key or which default of the tool it comes from; `lost` are the fields whose values were refused. `folder` is
    the file's folder, where other files that it names are looked up.
    """

    tool: str
    entries: Entries
    shown: str
    said: Mapping[str, Field]
    fields: dict[str, Field] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    folder: Path | None = None

    def node(self, *keys: str) -> Node | None:
        """The value of the first of these names that is present and not null; all of them count as read."""
        found = None
        for key in keys:
            self.read.add(key)
            node = self._walk(key)
            if found is None and node is not None and not is_nothing(node):
                found = self._resolved(node)
        return found

    def _walk(self, key: str) -> Node | None:
        node: Node | None = self.entries
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Entries) else None
        return node

    def _resolved(self, node: Node) -> Node:
        """The value that `${key}` refers to, resolved one level deep, with the place of the reference."""
        found = _INTERPOLATION.fullmatch(node) if isinstance(node, Scalar) else None
        target = self._walk(found[1]) if found else None
        if not isinstance(node, Scalar) or not isinstance(target, Scalar) or found is None:
            return node
        self.read.add(found[1])
        copy = typed(str(target))
        copy.line, copy.column, copy.end_line, copy.end_column = node.line, node.column, node.end_line, node.end_column
        copy.plain = target.plain
        return copy

    def truth(self, *keys: str) -> bool | None:
        """A truth value; None where the key is absent or has no truth value."""
        return self._typed(keys, read_truth)

    def whole(self, *keys: str) -> int | None:
        """A whole number."""
        return self._typed(keys, read_whole)

    def decimal(self, *keys: str) -> float | None:
        """A number."""
        return self._typed(keys, read_decimal)

    def word(self, *keys: str) -> str | None:
        """Text."""
        return self._typed(keys, read_word)

    def words(self, *keys: str) -> tuple[str, ...] | None:
        """A list of texts; a single text is split at commas or spaces, and an empty one counts as none."""
        node = self.node(*keys)
        if isinstance(node, Scalar) and not str(node).strip():
            return ()
        if isinstance(node, Items):
            return tuple(text for item in node if (text := self._reading(keys, item, read_word)) is not None)
        text = None if node is None else self._reading(keys, node, read_word)
        return None if text is None else tuple(re.split(r"[,\s]+", text))

    def _typed(self, keys: Iterable[str], read: Callable[[Node], _Value]) -> _Value | None:
        node = self.node(*keys)
        return None if node is None else self._reading(keys, node, read)

    def _reading(self, keys: Iterable[str], node: Node, read: Callable[[Node], _Value]) -> _Value | None:
        try:
            return read(node)
        except PydanticCustomError as error:
            self._refused(error, place_of(node, self.shown), self._present(keys))
            return None

    def _present(self, keys: Iterable[str]) -> str:
        """Which of several names of a key the file has."""
        names = list(keys)
        return next((key for key in names if self._walk(key) is not None), names[0])

    def present(self, *keys: str) -> str:
        """Which of several names of a key the file has; the first where it has none."""
        return self._present(keys)

    def _refused(self, error: PydanticCustomError, place: Place, key: str) -> None:
        context = error.context or {}
        self.findings.append(Finding(place, error.type, f"{key}: {context['message']}", context.get("repair")))

    def place(self, *keys: str) -> Place:
        """The place of a key's value; the file where the key is absent."""
        for key in keys:
            node = self._walk(key)
            if node is not None:
                return place_of(node, self.shown)
        return Place(self.shown)

    def put(self, name: str, value: Atom, *keys: str) -> None:
        """Sets a field from a key; a value that the field cannot have is a finding at its place."""
        key = self._present(keys)
        if name in self.said:
            return
        place = self.place(*keys)
        try:
            FIELDS[name].kind.read(_node_of(value))
        except PydanticCustomError as error:
            self._refused(error, place, key)
            self.lost.add(name)
            return
        self.fields[name] = Field(Fixed(value), place)
        self.remarks[name] = key

    def assume(self, name: str, value: Atom, why: str) -> None:
        """Sets a field to the tool's default, with the reason."""
        if name not in self.said:
            self.fields[name] = Field(Fixed(value), Place(self.shown))
            self.remarks[name] = why

    def value(self, name: str) -> Atom:
        """The value that a field has so far."""
        said = self.fields.get(name)
        return said.value.value if said is not None and isinstance(said.value, Fixed) else None

    def says(self, name: str, value: Atom) -> bool:
        """Whether the command line states this value of a field."""
        field = self.said.get(name)
        return field is not None and isinstance(field.value, Fixed) and field.value.value == value

    def matters(self, key: str, reason: str, *, stops: bool = True, repair: str | None = DELETE) -> None:
        """Reports a key whose effect on memory is not followed: it stops the reading, or the estimate leaves it out.

        `repair` is what to do where it stops; None where the run would be another one without the key.
        """
        severity = Severity.ERROR if stops else Severity.WARNING
        repair = repair if stops else None
        place = self.place(key)
        self.findings.append(Finding(place, "S115", f"{key}: {reason}", repair, severity))

    def matters_where_said(
        self, reasons: Iterable[tuple[str, str]], *, stops: bool = True, repair: str | None = DELETE
    ) -> None:
        """Does the same for every key of a table that is present and is not null, false, 0 or an empty list."""
        for key, reason in reasons:
            node = self.node(key)
            if node is not None and not is_off(node):
                self.matters(key, reason, stops=stops, repair=repair)

    def unread(self, irrelevant: Iterable[str], known: Iterable[str] = ()) -> None:
        """Notes every key that was not read, has a value, and is not known to leave memory alone."""
        harmless = frozenset(irrelevant)
        left = [key for key, node in self._keys() if key not in self.read and not _covered(key, harmless)
                and not is_nothing(node)]  # fmt: skip
        names = sorted({*self.read, *known})
        for key in left[:MAX_UNREAD]:
            near = nearest(key, names, 1, ALIKE) if may_guess() else ()
            message = f"{shown(key)} is not read: nothing here knows whether it moves memory"
            repair = f"if {near[0]} is meant, write that" if near else None
            self.findings.append(Finding(self._key_place(key), "S116", message, repair, Severity.NOTE))
        if len(left) > MAX_UNREAD:
            message = f"{len(left) - MAX_UNREAD:,} more keys are not read"
            self.findings.append(Finding(Place(self.shown), "S116", message, None, Severity.NOTE))

    def _keys(self, inside: str = "", entries: Entries | None = None) -> Iterator[tuple[str, Node]]:
        """Every key with its value, and the keys inside mappings of which something was read."""
        for key, node in (self.entries if entries is None else entries).items():
            name = f"{inside}{key}"
            if isinstance(node, Entries) and any(one.startswith(f"{name}.") for one in self.read):
                yield from self._keys(f"{name}.", node)
            else:
                yield name, node

    def _key_place(self, key: str) -> Place:
        outer, _, inner = key.rpartition(".")
        holder = self._walk(outer)
        if key not in self.entries and isinstance(holder, Entries):
            return place_of_key(holder, inner, self.shown)
        return place_of_key(self.entries, key, self.shown)


def is_off(node: Node) -> bool:
    """Whether a value turns its key off."""
    return truth(node) is False or node in ("0", "0.0", "no", "none", "None") or not node


def _covered(key: str, harmless: frozenset[str]) -> bool:
    """Whether a key, or a family of keys that ends in *, is known to leave memory alone."""
    if any(outer in harmless for outer in accumulate(key.split("."), "{}.{}".format)):
        return True
    return any(one.endswith("*") and key.startswith(one[:-1]) for one in harmless)


def _node_of(value: Atom) -> Node:
    """A value as a scenario's file would write it."""
    if isinstance(value, tuple):
        items = Items(typed(one) for one in value)
        items.line = items.column = 1
        return items
    if isinstance(value, bool):
        return typed("true" if value else "false")
    return typed("null" if value is None else str(value))
