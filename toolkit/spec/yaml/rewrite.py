"""Replaces the text of single scalars of a YAML file, and leaves every other character as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from toolkit.finding import Place
from toolkit.spec.yaml.compose import compose
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar

_LINE_END = re.compile(r"\r\n?|\n")
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff]')
_BLOCK_HEADER = re.compile(r"[|>][^\r\n]*(?:\r\n?|\n)")
_PLAIN = re.compile(r"[^\W\d_](?:[\w.()/+-]| (?=\S))*")
_NO_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_INDENT = re.compile(r"[ ]*")

NodePath = tuple[str | int, ...]
"""The keys and positions that lead to a node."""


class YamlText:
    """A YAML text with the places of its scalars; a byte order mark at its start is not part of the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = compose(text, "")[0]
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(text))]
        self.scalars: Mapping[tuple[int, int], tuple[NodePath, Scalar]] = {
            (scalar.line, scalar.column): (path, scalar) for path, scalar in _scalars(self.root)
        }
        self._collections = {(node.line, node.column): path for path, node in reversed(list(_collections(self.root)))}

    def at(self, place: Place) -> tuple[NodePath, Scalar] | None:
        """The scalar that begins at a place."""
        return self.scalars.get((place.line, place.column))

    def path_at(self, place: Place) -> NodePath | None:
        """The path of the scalar, list or mapping that begins at a place; of two, the outer one."""
        written = self.at(place)
        if written is not None and written[0][-1:] == ("table",):
            return written[0]
        return self._collections.get((place.line, place.column)) or (written and written[0])

    def node(self, path: NodePath) -> Node | None:
        """The node at the end of a path."""
        node = self.root
        for step in path:
            if isinstance(node, Entries) and isinstance(step, str):
                node = node.get(step)
            elif isinstance(node, Items) and isinstance(step, int):
                node = node[step]
            else:
                return None
        return node

    def span(self, scalar: Scalar) -> tuple[int, int]:
        """Offsets of a scalar with its quotation marks."""
        start = self._starts[scalar.line - 1] + scalar.column - 1
        return start, min(len(self.text), self._starts[scalar.end_line - 1] + scalar.end_column - 1)

    def with_texts(self, texts: Mapping[NodePath, str]) -> str | None:
        """The YAML with new texts in some scalars; None where that would change anything else."""
        edits = sorted((*self.span(scalar), path) for path, scalar in _scalars(self.root) if path in texts)
        pieces, done = [], 0
        for start, end, path in edits:
            pieces += [self.text[done:start], _written(self.text[start:end], texts[path])]
            done = end
        anew = "".join([*pieces, self.text[done:]])
        return anew if len(edits) == len(texts) and self._differs_in(anew, texts) else None

    def _differs_in(self, anew: str, texts: Mapping[NodePath, str]) -> bool:
        """Whether a text holds the same tree but for these scalars; white space in a scalar is single to a quote."""
        root, findings = compose(anew, "")
        before, after = list(_scalars(self.root)), list(_scalars(root))
        if findings or root is None or [path for path, _ in before] != [path for path, _ in after]:
            return False
        return all(
            new.split() == texts[path].split() if path in texts else (new == old and new.plain == old.plain)
            for (path, old), (_, new) in zip(before, after, strict=True)
        )


def _scalars(node: Node | None, path: NodePath = ()) -> Iterator[tuple[NodePath, Scalar]]:
    """Every scalar that is a value or an item, in the order of the file."""
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Entries):
        for key, value in node.items():
            yield from _scalars(value, (*path, key))
    elif isinstance(node, Items):
        for number, item in enumerate(node):
            yield from _scalars(item, (*path, number))


def _collections(node: Node | None, path: NodePath = ()) -> Iterator[tuple[NodePath, Entries | Items]]:
    """Every mapping and list, those around before those inside."""
    if isinstance(node, Entries | Items):
        yield path, node
        for step, inner in node.items() if isinstance(node, Entries) else enumerate(node):
            yield from _collections(inner, (*path, step))


def _written(scalar: str, text: str) -> str:
    """A text in the style of the scalar that it replaces: in its quotation marks, plain, or as a block."""
    if scalar.startswith('"'):
        return _double_quoted(text)
    if scalar.startswith("'"):
        return _single_quoted(text)
    if header := _BLOCK_HEADER.match(scalar):
        return _block(scalar, header.end(), text)
    return text if _stays_plain(text) else _single_quoted(text)


def _double_quoted(text: str) -> str:
    def escape(found: re.Match[str]) -> str:
        letter = found.group()
        return f"\\{letter}" if letter in '"\\' else f"\\u{ord(letter):04X}"

    return f'"{_ESCAPED.sub(escape, text)}"'


def _single_quoted(text: str) -> str:
    if re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", text):
        return _double_quoted(text)
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _block(scalar: str, begin: int, text: str) -> str:
    """A block scalar with one line of text, indented as its first line was; what ended it still ends it."""
    body = scalar[begin:]
    indent = _INDENT.match(body)
    tail = re.search(r"\s*\Z", body)
    assert indent is not None
    assert tail is not None
    return scalar[:begin] + indent.group() + " ".join(text.split()) + tail.group()


def _stays_plain(text: str) -> bool:
    """Whether a text may stand without quotation marks, between brackets too, and every reader takes it for text."""
    return bool(_PLAIN.fullmatch(text)) and text.casefold() not in _NO_TEXT
