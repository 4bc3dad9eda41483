"""Cells by table, row and column."""

import pytest

from tests.documents.build import SPEC
from toolkit.documents.cells import find_cell
from toolkit.documents.document import Document
from toolkit.documents.match import Match
from toolkit.finding import Finding
from toolkit.spec.quote import Cell, Quote, TableRef

TEXT = """\
# Parts

| Part | Memory |
|------|--------|
| LoRA **weights** | 21M × 2 bytes = **0.042 GB** |
| `gradients` | **0.042 GB** |
| Fits \\| runs | ✔️ Yes |
| a | x |
| a | |
| short |

> | C | C | D |
> |---|---|---|
> | 1 | 2 | 3 4 |

# Other

text
"""


def look(
    row: str, column: str, quote: str | None = None, under: str | None = None, occurrence: int | None = None
) -> Match | Finding:
    pattern = Quote(quote, SPEC) if quote else None
    cell = Cell(TableRef(under, occurrence, SPEC), row, column, SPEC, pattern)
    return find_cell(Document("guide.md", TEXT), cell)


def slot(row: str, column: str, quote: str | None = None, occurrence: int | None = None) -> str:
    match = look(row, column, quote, None, occurrence)
    assert isinstance(match, Match), match
    assert "".join(TEXT[match.slots[0].start : match.slots[0].end].split()) == "".join(match.slots[0].text.split())
    return match.slots[0].text


@pytest.mark.parametrize(
    ("row", "column", "quote", "text"),
    [
        ("LoRA weights", "Memory", None, "21M × 2 bytes = **0.042 GB**"),
        ("LoRA **weights**", "**Memory**", "= **{}**", "0.042 GB"),
        ("LoRA weights", "Memory", "{} = **0.042", "21M × 2 bytes"),
        ("LoRA weights", "Memory", "= {}", "**0.042 GB**"),
        ("LoRA weights", "Memory", "21M × {*} = {}", "**0.042 GB**"),
        ("gradients", "Memory", "**{}**", "0.042 GB"),
        ("Fits | runs", "Memory", None, "✔️ Yes"),
        ("✔ Yes", "Part", None, "Fits \\| runs"),
        ("LoRA weights", "Part", None, "LoRA **weights**"),
    ],
)
def test_a_cell_is_named_by_its_labels_as_a_reader_sees_them(row: str, column: str, quote: str, text: str) -> None:
    assert slot(row, column, quote) == text


def test_a_table_in_a_block_quote_is_the_second() -> None:
    assert slot("1", "D", None, 2) == "3 4"
    assert slot("1", "D", "3 {}", 2) == "4"


@pytest.mark.parametrize(
    ("result", "code", "message"),
    [
        (
            look("LoRA weight", "Memory"),
            "D203",
            'no row "LoRA weight"; rows: "LoRA weights", "gradients", "Fits | runs", "a", "short"; near',
        ),
        (
            look("gradients", "VRAM"),
            "D203",
            'the table at guide.md:3 has no column "VRAM"; columns: "Part", "Memory"',
        ),
        (look("a", "Memory"), "D203", 'the table at guide.md:3 has 2 rows "a": line 8, line 9'),
        (
            look("1", "C", None, None, 2),
            "D203",
            'the table at guide.md:12 has 2 columns "C": column 1, column 2',
        ),
        (
            look("short", "Memory"),
            "D204",
            'the cell in row "short", column "Memory" of the table at guide.md:3 is empty',
        ),
        (
            look("a", "b", None, "Other"),
            "D203",
            'guide.md under "Other" has no table; tables begin at line 3, line 12',
        ),
        (
            look("a", "b", None, None, 3),
            "D203",
            "guide.md has only 2 tables; tables begin at line 3, line 12",
        ),
        (
            look("a", "b", None, "zzz"),
            "D206",
            'guide.md has no heading "zzz"; headings: "Parts", "Other"',
        ),
        (
            look("gradients", "Memory", "= **{}**"),
            "D201",
            '"= **{}**" is not in row "gradients", column "Memory" of the table at guide.md:3, which',
        ),
        (
            look("LoRA weights", "Memory", "1M × {}"),
            "D201",
            '"1M × {}" is not in row "LoRA weights", column "Memory" of the table at guide.md:3, which',
        ),
    ],
)
def test_what_is_said_of_a_cell_that_is_not_found(result: Match | Finding, code: str, message: str) -> None:
    assert isinstance(result, Finding)
    assert (result.place, result.code) == (SPEC, code)
    assert message in result.message


def test_a_document_without_tables() -> None:
    cell = Cell(TableRef(None, None, SPEC), "a", "b", SPEC)
    result = find_cell(Document("d", "text"), cell)
    assert isinstance(result, Finding)
    assert result.message == "d has no table"
