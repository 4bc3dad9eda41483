"""YAML read as text with places: every key and value stays a string that knows its line and column.

Nothing is guessed from how a scalar looks (`12:30`, `no`, `1_000`): what a scalar means is decided by the
field that it is written for. Anchors, aliases, tags and merge keys are refused, so that a file says what it
means where it says it, and no input is larger in memory than on disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from toolkit.finding import Finding, Place
from toolkit.spec.yaml.known import shown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 200_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.1 counts three more characters as line ends, which editors do not; a byte order mark belongs at the
# start only.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; `key` is the key that waits for its value."""

    node: Entries | Items
    key: Scalar | None = None
    keep: bool = True


@dataclass(slots=True)
class _Composer:
    path: str
    text: str
    findings: list[Finding] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    root: Node | None = None
    nodes: int = 0
    documents: int = 0
    last: tuple[int, str] | None = None

    def refuse(self, code: str, event: Any, message: str) -> None:
        start, end = event.start_mark, event.end_mark
        place = Place(self.path, start.line + 1, start.column + 1)
        if event.__class__ in (yaml.ScalarEvent, yaml.AliasEvent):
            place = Place(self.path, start.line + 1, start.column + 1, end.line + 1, end.column + 1)
        self.findings.append(Finding(place, code, message))

    def run(self, events: Iterator[Any]) -> None:
        """Builds the tree; stops at the first event after which places or sizes cannot be trusted."""
        for event in events:
            kind = event.__class__
            if kind is yaml.ScalarEvent:
                self.properties(event)
                self.add(_scalar(event) if event.value else self.empty(event), event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self.properties(event)
                if not self.open(event, Entries() if kind is yaml.MappingStartEvent else Items()):
                    return
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self.stack.pop()
            elif not self.other(event, kind):
                return

    def empty(self, event: Any) -> Scalar:
        """An empty text; libyaml puts one at the end of a file into the line after it."""
        scalar = _scalar(event)
        if self.last is None:
            lines = _lines(self.text)
            self.last = len(lines), lines[-1]
        number, line = self.last
        if scalar.line > number:
            scalar.line = scalar.end_line = number
            scalar.column = scalar.end_column = len(line) + 1
        return scalar

    def other(self, event: Any, kind: type) -> bool:
        """An alias, or the start of a document; whether to go on."""
        if kind is yaml.AliasEvent:
            self.refuse("S112", event, f"the alias *{shown(event.anchor)} is refused: write the value out")
            self.add(_scalar(event, refused=True), event)
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                self.refuse("S101", event, "a second YAML document starts here; a spec is one document")
                return False
        return True

    def properties(self, event: Any) -> None:
        if event.anchor is not None:
            self.refuse("S112", event, f"the anchor &{shown(event.anchor)} is refused: nothing may refer to it")
        if event.tag is not None:
            self.refuse("S112", event, f"the tag {shown(event.tag)} is refused: fields know their own types")

    def open(self, event: Any, node: Entries | Items) -> bool:
        mark = event.start_mark
        node.line, node.column = mark.line + 1, mark.column + 1
        if len(self.stack) >= MAX_DEPTH:
            self.refuse("S112", event, f"nested more than {MAX_DEPTH} levels deep")
            return False
        self.add(node, event)
        self.stack.append(_Open(node))
        return self.nodes <= MAX_NODES

    def add(self, node: Node, event: Any) -> None:
        self.nodes += 1
        if self.nodes == MAX_NODES + 1:
            self.refuse("S112", event, f"more than {MAX_NODES:,} keys and values: split the file")
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        holder = parent.node
        if isinstance(holder, Items):
            holder.append(node)
        elif parent.key is None:
            self.key(parent, holder, node, event)
        else:
            if parent.keep:
                holder[parent.key] = node
            parent.key = None

    def key(self, parent: _Open, holder: Entries, node: Node, event: Any) -> None:
        """Takes a key; the value of a refused or repeated one is read and left out."""
        key = node if isinstance(node, Scalar) else _scalar(event, refused=True)
        parent.key, parent.keep = key, False
        if not isinstance(node, Scalar):
            self.refuse("S101", event, "a key must be text")
        elif key == "<<" and key.plain:
            self.refuse(
                "S112",
                event,
                "the merge key << is refused: write the fields out, or use `extends`",
            )
        elif not key and key.plain:
            self.refuse("S101", event, "a key is missing before the colon")
        elif key in holder.keys_at:
            first = holder.keys_at[key].line
            self.refuse("S102", event, f"{shown(key)} is written twice: first in line {first}")
        elif not key.refused:
            parent.keep = True
            holder.keys_at[key] = key


def compose(text: str, path: str) -> tuple[Node | None, list[Finding]]:
    """The tree of a YAML text, with all that is refused in it; None where nothing can be made of it."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return None, [Finding(Place(path), "S112", f"larger than {MAX_BYTES:,} bytes: split the file")]
    if found := _REFUSED.search(text):
        return None, [_character(text, found.start(), path)]
    composer = _Composer(path, text)
    try:
        composer.run(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        composer.findings.append(_syntax(error, text, path))
    except RecursionError:  # the pure Python parser, on deep flow collections
        composer.findings.append(Finding(Place(path), "S112", f"nested more than {MAX_DEPTH} levels deep"))
    fatal = any(finding.code in ("S101", "S112") for finding in composer.findings) and _unfinished(composer)
    return (None if fatal else composer.root), composer.findings


def _unfinished(composer: _Composer) -> bool:
    """Whether reading stopped early, so that what is missing cannot be told from what was not read."""
    return bool(composer.stack) or composer.documents != 1 or composer.nodes > MAX_NODES


def _scalar(event: Any, *, refused: bool = False) -> Scalar:
    scalar = Scalar("" if refused else event.value)
    start, end = event.start_mark, event.end_mark
    scalar.line, scalar.column = start.line + 1, start.column + 1
    scalar.end_line, scalar.end_column = end.line + 1, end.column + 1
    scalar.refused = refused
    scalar.plain = not refused and not event.style
    return scalar


def _syntax(error: yaml.YAMLError, text: str, path: str) -> Finding:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Finding(Place(path), "S101", f"this is no YAML: {shown(str(error))}")
    mark = error.problem_mark
    said = error.problem or "it cannot be read"
    if error.context and error.context_mark is not None:
        said += f" ({error.context} that starts in line {error.context_mark.line + 1})"
    repair = 'put text that holds ": ", "#", "{" or "[" in quotes' if "mapping values" in said else None
    lines = _lines(text)
    place = Place(path, mark.line + 1, mark.column + 1)
    if mark.line >= len(lines):  # what is missing at the end is missing in the line after it
        place = Place(path, len(lines), len(lines[-1]) + 1)
    return Finding(place, "S101", f"this is no YAML: {said}", repair)


def _character(text: str, index: int, path: str) -> Finding:
    before = _lines(text[:index])
    code = f"{ord(text[index]):04X}"
    repair = f'write it as "\\u{code}" in double quotes'
    place = Place(path, len(before), len(before[-1]) + 1)
    return Finding(place, "S101", f"the character U+{code} may not stand in YAML as it is", repair)


def _lines(text: str) -> list[str]:
    """The lines of a text as YAML counts them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
