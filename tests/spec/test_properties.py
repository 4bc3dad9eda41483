"""Whatever stands in a file: no crash, findings inside the file, and places that name the text at them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.finding import Finding, printable
from toolkit.spec import Spec, load_spec
from toolkit.spec.yaml.compose import compose
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar

VALID = """\
document: guide.md
title: A guide, "quoted" and 😀
units: {GB: decimal, quote: "1 GB = 10^9 bytes"}
values:
  train: "Training: {} examples"
  cell: {cell: {table: {under: Six, occurrence: 1}, row: A, column: "B 😀"}}
defaults: {model: Qwen/Qwen2.5-7B, optimizer: adamw}
scenarios:
  full: {method: full, weights: fp32, batch_size: {from: 1, to: 4}, run: {examples: "{train}"},
         quotes: {batch_size: few}}
  qlora: {extends: full, method: qlora, weights: nf4, lora: {rank: 16, targets: [q_proj, v_proj]}, gpu: 24 GB}
claims:
  - {quantity: weights, scenario: full, under: "3.1 Parameters", quote: "needs **{}**"}
  - {quantity: trainable_share, scenario: qlora, quotes: ["(~{} of 11B", {quote: "Only {}", occurrence: 2}]}
  - scenario: qlora
    claims:
      - {quantity: arithmetic, quote: "Total: {} h", formula: a + b, where: {a: "A {}", b: "B {}"}}
      - {quantity: change, quote: "{} less", of: weights, from: full, to: qlora}
  - table: {under: Six}
    rows: {A: full, B: {scenario: qlora}}
    columns: {VRAM: peak_memory, "Fits?": {quantity: fits, with: {gpu: 24 GB}}}
    cells: [{row: A, column: VRAM, acknowledged: {reason: known, until: 2027-03-01}}]
"""
TOKENS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    ",",
    "\n",
    "  ",
    "\t",
    "'",
    '"',
    "#",
    "&a ",
    "*a",
    "!!int ",
    "<<: ",
    "|",
    ">",
    "? ",
    "null",
    "~",
    "yes",
    "12:30",
    "1_000",
    "-1",
    "99999999999999999999",
    "{}",
    "{*}",
    "{{",
    "from",
    "extends",
    "full",
    "qlora",
    "\u2028",
    "\x00",
    "\ufeff",
    "😀",
    "é",
    '"\\ud800"',
    '"\\0"',
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "../",
]


def loaded(text: str) -> tuple[Spec | None, list[Finding]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "claims.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        return load_spec(path, Path(folder))


def assert_in_order(text: str) -> None:
    """A spec or findings, and every finding inside the file."""
    spec, findings = loaded(text)
    assert (spec is None) == bool(findings)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for finding in findings:
        place = finding.place
        assert place.path == "claims.yaml"
        assert 1 <= place.line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1
        assert printable(finding.message) == finding.message
        assert len(finding.message) < 1_500


def test_the_base_is_valid() -> None:
    assert loaded(VALID)[1] == []


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_text(text: str) -> None:
    assert_in_order(text)


@given(
    st.lists(
        st.sampled_from([*TOKENS, "document", "scenarios", "claims", "quote", "model", " x ", "\n  "]),
        max_size=40,
    )
)
@settings(max_examples=250, deadline=None)
def test_any_yaml_like_text(parts: list[str]) -> None:
    assert_in_order("".join(parts))


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_any_damage_to_a_spec(data: st.DataObject) -> None:
    text = VALID
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.sampled_from(["", *TOKENS])) + text[end:]
    assert_in_order(text)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_value_replaced_by_any_other(data: st.DataObject) -> None:
    root, _ = compose(VALID, "f")
    assert root is not None
    lines = VALID.split("\n")
    scalar = data.draw(st.sampled_from([each for each in scalars(root) if each.line == each.end_line]))
    new = data.draw(
        st.sampled_from(["[1, [2]]", "{a: {b: c}}", "~", "", "0", "no", '"x {}"', "[]", "{}", "{from: 1, to: x}"])
    )
    line = lines[scalar.line - 1]
    lines[scalar.line - 1] = line[: scalar.column - 1] + new + line[scalar.end_column - 1 :]
    assert_in_order("\n".join(lines))


def scalars(node: Node) -> Iterator[Scalar]:
    """Every key and value."""
    if isinstance(node, Entries):
        yield from node.keys_at.values()
        for value in node.values():
            yield from scalars(value)
    elif isinstance(node, Items):
        for item in node:
            yield from scalars(item)
    else:
        yield node


TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "So", "Zs")), min_size=1, max_size=12)
PLAIN = st.text(st.characters(codec="utf-8", categories=("L", "So")), min_size=1, max_size=12)


@given(st.dictionaries(PLAIN, st.one_of(PLAIN, TEXT, st.lists(TEXT, max_size=3)), max_size=6))
@settings(max_examples=150, deadline=None)
def test_the_text_at_a_place_is_what_is_named(content: dict[str, str | list[str]]) -> None:
    def shown(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    written = "".join(
        f"{shown(key)}: {shown(value) if isinstance(value, str) else '[' + ', '.join(map(shown, value)) + ']'}\n"
        for key, value in content.items()
    )
    node, findings = compose(written, "f")
    assert not findings
    lines = written.split("\n")
    for scalar in scalars(node) if node is not None else ():
        token = lines[scalar.line - 1][scalar.column - 1 : scalar.end_column - 1]
        assert token == shown(scalar)


def test_every_scalar_of_the_base_stands_at_its_place() -> None:
    node, _ = compose(VALID, "f")
    assert node is not None
    lines = VALID.split("\n")
    for scalar in scalars(node):
        token = lines[scalar.line - 1][scalar.column - 1 : scalar.end_column - 1]
        assert token == (scalar if scalar.plain else f'"{scalar}"')
