"""The tree of a YAML file before its values are interpreted: text, lists, mappings, and their places."""

from __future__ import annotations

from toolkit.finding import Place


class Scalar(str):
    """A scalar: `plain` if written without quotes, `refused` if a finding already says why."""

    __slots__ = ("column", "end_column", "end_line", "line", "plain", "refused")
    line: int
    column: int
    end_line: int
    end_column: int
    plain: bool
    refused: bool


class Items(list["Node"]):
    """A sequence."""

    __slots__ = ("column", "line")
    line: int
    column: int


class Entries(dict[str, "Node"]):
    """A mapping. `keys_at` holds each key as it was written, with its place."""

    __slots__ = ("column", "keys_at", "line")
    line: int
    column: int
    keys_at: dict[str, Scalar]

    def __init__(self) -> None:
        super().__init__()
        self.keys_at = {}


Node = Scalar | Items | Entries


def typed(text: str) -> Scalar:
    """Text from outside a file (a command line), as an unquoted scalar."""
    scalar = Scalar(text)
    scalar.line = scalar.column = scalar.end_line = 1
    scalar.end_column = len(text) + 1
    scalar.plain, scalar.refused = True, False
    return scalar


def place_of(node: Node, path: str) -> Place:
    """The place of a node: where it starts and, for a scalar, where it ends."""
    if isinstance(node, Scalar):
        return Place(path, node.line, node.column, node.end_line, node.end_column)
    return Place(path, node.line, node.column)


def place_of_key(entries: Entries, key: str, path: str) -> Place:
    """The place of a key, or the start of the mapping if the key is missing."""
    written = entries.keys_at.get(key)
    return place_of(entries if written is None else written, path)
