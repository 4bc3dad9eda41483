"""Tables: the spans of their cells, as the block rules of Markdown cut them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from toolkit.documents.document import Document
from toolkit.documents.tables import Table


def tables(text: str) -> list[list[list[str]]]:
    document = Document("d", text)
    return [rows_of(document, table) for table in document.tables]


def rows_of(document: Document, table: Table) -> list[list[str]]:
    rows = [table.header, *table.rows]
    assert all(document.unquoted[cell.start : cell.end] == cell.raw for row in rows for cell in row)
    return [[cell.raw for cell in row] for row in rows]


def test_cells_are_trimmed_and_pipes_at_the_ends_are_optional() -> None:
    text = "| A | B |\n|---|:-:|\n|  ~12 GB | **no** |\nx | y\n\nafter\n"
    assert tables(text) == [[["A", "B"], ["~12 GB", "**no**"], ["x", "y"]]]


def test_an_escaped_pipe_is_part_of_a_cell_and_one_in_code_is_not() -> None:
    document = Document("d", "| A | B |\n|---|---|\n| a \\| b | `c|d` |\n")
    row = document.tables[0].rows[0]
    assert [cell.raw for cell in row] == ["a \\| b", "`c"]
    assert [cell.text for cell in row] == ["a | b", "`c"]


def test_rows_may_be_short_and_are_cut_to_the_header() -> None:
    assert tables("|A|B|\n|-|-|\n|1|\n|1|2|3|\n||x|\n") == [[["A", "B"], ["1"], ["1", "2"], ["", "x"]]]


def test_tables_in_lists_and_quotes() -> None:
    listed = "- | A | B |\n  |---|---|\n  | 1 | 2 |\n"
    quoted = "> | C | D |\n> |---|---|\n> | 3 | 4 |\n"
    text = f"{listed}\n{quoted}\n> - | E |\n>   |---|\n>   | 5 |\n"
    assert tables(text) == [[["A", "B"], ["1", "2"]], [["C", "D"], ["3", "4"]], [["E"], ["5"]]]


def test_a_table_in_a_fence_is_text() -> None:
    assert tables("```\n|A|B|\n|-|-|\n|1|2|\n```\n") == []


cells = st.text("ab1 |\\`*>-:\n", max_size=40)


@given(st.lists(cells, min_size=1, max_size=4), st.sampled_from(["", "> ", "- ", "> - ", "- > ", "  "]))
def test_cells_are_what_markdown_it_makes_of_them(rows: list[str], prefix: str) -> None:
    lines = "\n".join(["|A|B|", "|-|-|", *(f"|{row}|" for row in rows)]).split("\n")
    rest = prefix if prefix.strip() == ">" else " " * len(prefix)
    text = "\n".join([prefix + lines[0], *(rest + line for line in lines[1:])])
    mine = [
        [cell.replace("\\|", "|").strip(" \t") for cell in row] + [""] * (len(table[0]) - len(row))
        for table in tables(text)
        for row in table
    ]
    theirs: list[list[str]] = []
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text)
    inside = False
    for token, content in pairwise(tokens):
        inside = inside and token.type != "tr_close"
        if token.type == "tr_open":
            theirs.append([])
            inside = True
        elif inside and token.type in ("td_open", "th_open"):
            theirs[-1].append(content.content.strip())
    assert mine == theirs
