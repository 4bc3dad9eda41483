"""A figure is pointed at by words that stand once, or by the labels of its cell, and found again at its place."""

import pytest

from toolkit.documents.cells import find_cell
from toolkit.documents.document import Document
from toolkit.documents.draft.sources import Found, Sources
from toolkit.documents.match import Match
from toolkit.documents.quotes import find_quote
from toolkit.spec.quote import Cell, Quote


def find(text: str, figure: str, at: int = 0) -> Found | None:
    """The source of the n-th time that a figure stands in a text, with its whole line to quote from."""
    document = Document("guide.md", text)
    start = -1
    for _ in range(at + 1):
        start = text.index(figure, start + 1)
    line = document.lines.span(document.lines.at(start))
    return Sources(document).find(start, start + len(figure), line)


def quote(text: str, figure: str, at: int = 0) -> Quote:
    found = find(text, figure, at)
    assert found is not None
    assert isinstance(found.source, Quote)
    return found.source


def cell(text: str, figure: str, at: int = 0) -> Cell:
    found = find(text, figure, at)
    assert found is not None
    assert isinstance(found.source, Cell)
    return found.source


def test_the_shortest_words_that_stand_once() -> None:
    text = "Training needs 94 GB of memory. Later, inference needs 16 GB of memory.\n"
    assert quote(text, "94 GB").text == "Training needs {} of"
    assert quote(text, "16 GB").text == "inference needs {} of"
    assert quote("Training needs 94 GB\nof memory.\n", "94 GB").text == "Training needs {}"


def test_a_quote_has_words_that_tell_it_from_later_ones() -> None:
    assert quote("It is 5 GB in it, as a guess would have it.\n", "5 GB").text.count(" ") >= 2


def test_a_heading_tells_equal_sentences_apart() -> None:
    text = "# A\n\n## One\n\nIt takes 9 GB of memory.\n\n## Two\n\nIt takes 9 GB of memory.\n"
    one, two = quote(text, "9 GB"), quote(text, "9 GB", 1)
    assert (one.under, two.under) == ("One", "Two")
    assert one.text == two.text
    assert one.occurrence is None


def test_headings_of_one_name_are_told_by_their_path() -> None:
    text = "# A\n\n## Memory\n\nIt takes 9 GB.\n\n# B\n\n## Memory\n\nIt takes 9 GB.\n"
    assert quote(text, "9 GB", 1).under == "B > Memory"


def test_sentences_that_nothing_tells_apart_are_numbered() -> None:
    text = "It takes 9 GB.\n\nIt takes 9 GB.\n\nIt takes 9 GB.\n"
    assert [quote(text, "9 GB", at).occurrence for at in range(3)] == [1, 2, 3]


def test_a_lone_figure_has_no_words_to_be_found_by() -> None:
    assert find("The memory it needs:\n\n9 GB\n\nThat is all.\n", "9 GB") is None


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("A {model} needs 9 GB of {memory}.\n", "9 GB"),
        ("需要大约 16 GB 显存才能运行这个模型。\n", "16 GB"),
        ("> It takes 9 GB\n> of memory in all.\n", "9 GB"),
        ("- [x] **9 GB** for the weights\n", "9 GB"),
        ("```text\nweights: 9 GB\nstates: 9 GB\n```\n", "9 GB"),
        ("---\nmemory: 9 GB of it\n---\n\n# A\n\nIt takes 9 GB of it.\n", "9 GB"),
        ("<td>weights</td><td>9 GB</td>\n", "9 GB"),
        ("# It takes 9 GB of memory\n", "9 GB"),
    ],
)
def test_a_quote_is_found_again_at_its_place(text: str, figure: str) -> None:
    found = find(text, figure)
    assert found is not None
    assert isinstance(found.source, Quote)
    match = find_quote(Document("guide.md", text), found.source)
    assert isinstance(match, Match)
    assert (match.slots[0].start, match.slots[0].text) == (text.index(figure), figure)


def test_no_quote_holds_a_sign_that_nobody_sees() -> None:
    text = "Loading\u202e the model takes 9 GB of memory\u200b.\n"
    assert quote(text, "9 GB").text == "model takes {} of"
    assert find("\u202e9 GB\u202e", "9 GB") is None


TABLE = "# A\n\n| Model | Memory | Cards |\n|---|---|---|\n| One | 9 GB | 1 or 9 GB more |\n| Two | 9 GB | 3 |\n"


def test_a_cell_is_named_by_its_labels() -> None:
    one = cell(TABLE, "9 GB")
    assert (one.row, one.column, one.pattern, one.table.under, one.table.occurrence) == (
        "One",
        "Memory",
        None,
        "A",
        None,
    )
    assert cell(TABLE, "9 GB", 2).row == "Two"


def test_a_part_of_a_cell_is_quoted_in_it() -> None:
    part = cell(TABLE, "9 GB", 1)
    assert part.column == "Cards"
    assert part.pattern is not None
    match = find_cell(Document("guide.md", TABLE), part)
    assert isinstance(match, Match)
    assert match.slots[0].text == "9 GB"


def test_the_second_table_of_a_section_is_numbered() -> None:
    assert cell(TABLE + "\nThen:\n\n" + TABLE.partition("\n\n")[2], "9 GB", 3).table.occurrence == 2


def test_cells_whose_labels_repeat_are_quoted_by_their_row() -> None:
    text = "| Model | Memory | Memory |\n|---|---|---|\n| One | 9 GB | 8 GB |\n"
    found = quote(text, "8 GB")
    assert find_quote(Document("guide.md", text), found).quote_text.endswith("8 GB")  # type: ignore[union-attr]


def test_a_label_that_holds_the_figure_does_not_name_it() -> None:
    text = "| Card | Works |\n|---|---|\n| RTX 4090 (24 GB) | yes |\n"
    assert "24 GB" not in quote(text, "24 GB").text
