"""Cells of HTML tables in every row and column that they span; expected by drawing the tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.scan.scanned import contexts, found
from toolkit.documents.scan.html_tables import html_tables


def rows(text: str) -> list[list[str]]:
    [table] = html_tables(text)
    return [[cell for _, _, cell in row] for row in table.rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<table><tr><td>a<td>b<tr><td>c</table>", [["a", "b"], ["c"]]),
        ("<table><tr><td rowspan=2>a</td><td>b</td></tr><tr><td>c</td></tr></table>", [["a", "b"], ["a", "c"]]),
        ("<table><tr><th colspan='2'>a</th><th>b</th></tr></table>", [["a", "a", "b"]]),
        (
            "<table><tr><td rowspan=2 colspan=2>a</td><td>b</td></tr><tr><td>c</td></tr><tr><td>d</td></tr></table>",
            [["a", "a", "b"], ["a", "a", "c"], ["d"]],
        ),
        ("<table><tr><td>a</td><td rowspan=3>b</td></tr><tr><td>c</td></tr></table>", [["a", "b"], ["c", "b"]]),
        ("<table><th>a</th><th>b</th><tr><td>c</td><td>d</td></tr></table>", [["a", "b"], ["c", "d"]]),
    ],
)
def test_spans(text: str, expected: list[list[str]]) -> None:
    assert rows(text) == expected


def test_a_cell_that_spans_is_found_once_and_labels_each_of_its_rows() -> None:
    text = (
        "<table><tr><th>Model</th><th>Precision</th><th>VRAM</th></tr>"
        "<tr><td rowspan=2>Llama-2-7b</td><td>bf16</td><td>15 GB</td></tr>"
        "<tr><td>int4</td><td>6 GB</td></tr></table>\n"
    )
    assert found(text) == [("peak_memory", "15 GB"), ("peak_memory", "6 GB")]
    assert [one["model"] for one in contexts(text)] == ["meta-llama/Llama-2-7b-hf"] * 2


TAGS = [
    "<table>",
    "</table>",
    "<tr>",
    "<td rowspan=9999>",
    "<td colspan=9999>24 GB",
    "<th>",
    "</td>",
    "x",
    "<td rowspan=0>",
]


@given(st.lists(st.sampled_from(TAGS), max_size=60).map("".join))
def test_no_nesting_of_tags_makes_a_table_wider_than_is_read(text: str) -> None:
    for table in html_tables(text):
        written = text.count("<t")
        assert all(len(row) <= 66 + written for row in table.rows)
