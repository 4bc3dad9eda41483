"""YAML as text with places: what is kept, what is refused, and where."""

from __future__ import annotations

import pytest

from toolkit.spec.yaml import compose as module
from toolkit.spec.yaml.compose import MAX_BYTES, compose
from toolkit.spec.yaml.node import Entries, Items, Scalar


def tree(text: str) -> Entries:
    node, findings = compose(text, "f.yaml")
    assert not findings
    assert isinstance(node, Entries)
    return node


def one(text: str) -> tuple[str, int, int, str]:
    _, findings = compose(text, "f.yaml")
    assert len(findings) == 1, findings
    place = findings[0].place
    return findings[0].code, place.line, place.column, findings[0].message


def test_every_scalar_is_its_text() -> None:
    node = tree("a: 12:30\nb: no\nc: 1_000\nd: 017\ne: 2025-11-05\nf: ~\ng: .inf\nh: '5'\ni:\n")
    assert list(node.values()) == ["12:30", "no", "1_000", "017", "2025-11-05", "~", ".inf", "5", ""]
    plain = [value.plain for value in node.values() if isinstance(value, Scalar)]
    assert plain == [True] * 7 + [False, True]


def test_keys_and_values_know_their_places_in_characters() -> None:
    node = tree('"😀é": x\nb: {"😀": "ÿ", key: [1, value]}\n')
    value = node["😀é"]
    assert isinstance(value, Scalar)
    assert (value.line, value.column, value.end_column) == (1, 7, 8)
    inner = node["b"]
    assert isinstance(inner, Entries)
    assert (inner.line, inner.column) == (2, 4)
    assert (inner.keys_at["key"].line, inner.keys_at["key"].column) == (2, 15)
    items = inner["key"]
    assert isinstance(items, Items)
    last = items[1]
    assert isinstance(last, Scalar)
    assert (last.line, last.column, last.end_column) == (2, 24, 29)


@pytest.mark.parametrize("text", ["\ufeffa: b", "a: b\r\nc: d\r\n", "# c\n\n---\na: b\n...\n"])
def test_other_ways_to_write_a_file(text: str) -> None:
    node = tree(text)
    assert node["a"] == "b"


def test_places_after_windows_line_ends_and_a_byte_order_mark() -> None:
    node = tree("\ufeffa: b\r\nc: d\r\n")
    value = node["c"]
    assert isinstance(value, Scalar)
    assert (value.line, value.column) == (2, 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b: c", ("S101", 1, 5)),
        ("a: [1, 2\nb: 3", ("S101", 2, 2)),
        ("a: 'x", ("S101", 1, 6)),
        ("\ta: b", ("S101", 1, 1)),
        ("a: 1\n---\nb: 2", ("S101", 2, 1)),
        ("a: \x01", ("S101", 1, 4)),
        ("x: y\nab: 'p\u2028q'", ("S101", 2, 7)),
        ("x: '\u0085'", ("S101", 1, 5)),
        ("? [a]\n: b\n", ("S101", 1, 3)),
        ("{a: 1, : 2}", ("S101", 1, 8)),
        ("a: 1\nb: 2\na: 3", ("S102", 3, 1)),
        ("a: &x 1", ("S112", 1, 4)),
        ("a: !!int 1", ("S112", 1, 4)),
        ("a: !mine {b: c}", ("S112", 1, 4)),
        ("<<: {b: c}", ("S112", 1, 1)),
    ],
)
def test_what_is_refused(text: str, expected: tuple[str, int, int]) -> None:
    assert one(text)[:3] == expected


def test_an_alias_is_refused_and_the_rest_is_read() -> None:
    node, findings = compose("a: &x {b: c}\nd: *x\ne: f\n", "f.yaml")
    assert [(finding.code, finding.place.line) for finding in findings] == [("S112", 1), ("S112", 2)]
    assert isinstance(node, Entries)
    assert node["e"] == "f"
    refused = node["d"]
    assert isinstance(refused, Scalar)
    assert refused.refused


def test_a_syntax_error_names_where_the_open_bracket_is() -> None:
    assert "starts in line 2" in one("# one\na: {b: [1, 2}\n")[3]


def test_a_repeated_key_says_where_the_first_is_and_loses_its_value() -> None:
    node, findings = compose("a: 1\na: {b: [1]}\nc: 2", "f.yaml")
    assert node == {"a": "1", "c": "2"}
    assert findings[0].message == "a is written twice: first in line 1"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_at_once(opening: str) -> None:
    node, findings = compose(opening * 50_000, "f.yaml")
    assert node is None
    assert findings[-1].code in ("S112", "S101")


def test_large_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compose("a" * (MAX_BYTES + 1), "f.yaml")[1][0].code == "S112"
    assert compose("é" * (MAX_BYTES // 2 + 1), "f.yaml")[1][0].code == "S112"
    monkeypatch.setattr(module, "MAX_NODES", 10)
    node, findings = compose(f"a: [{'1, ' * 20}]", "f.yaml")
    assert node is None
    assert [finding.code for finding in findings] == ["S112"]


def test_an_empty_file_has_no_node() -> None:
    assert compose("", "f.yaml") == (None, [])
    assert compose("# only a comment\n", "f.yaml") == (None, [])


def test_the_pure_parser_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    text = '"😀": {b: [1, "x: y", two]}\nc: |\n  text\nd: no\n'
    fast = compose(text, "f.yaml")
    monkeypatch.setattr(module, "_LOADER", yaml.SafeLoader)
    slow = compose(text, "f.yaml")
    assert slow == fast
    assert isinstance(slow[0], Entries)
    assert isinstance(fast[0], Entries)
    assert slow[0].keys_at["d"].line == fast[0].keys_at["d"].line == 4
    assert compose("[" * 5_000, "f.yaml")[0] is None


def test_an_empty_document_is_placed_inside_the_file() -> None:
    node, _ = compose("---\n  ", "claims.yaml")
    assert isinstance(node, Scalar)
    assert (node.line, node.column) == (2, 3)
