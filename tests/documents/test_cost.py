"""What binding costs: work grows as the input does, whatever the quotes are made of."""

import random
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.documents.build import SPEC
from toolkit.documents.cells import find_cell
from toolkit.documents.document import Document
from toolkit.documents.match import Match
from toolkit.documents.quotes import find_quote
from toolkit.spec.quote import Cell, Quote, TableRef

QUOTES = 10_000


def large_document(scenarios: int) -> str:
    """A document of some 100 characters for each scenario; few words of it are rare."""
    chance = random.Random(scenarios)
    words = ["".join(chance.choices("abcdefgh", k=chance.randint(2, 8))) for _ in range(2000)]
    parts = []
    for number in range(scenarios):
        one, two, three = chance.choices(words, k=3)
        parts.append(f"## Scenario {number}\n\nThe {one} model {two} needs **{number % 99} GB**\n of VRAM")
        parts.append(f" when {three} is on, in run {number}\n\n")
    return "".join(parts)


def by_rare_word(number: int) -> Quote:
    return Quote(f"needs **{{}}** of VRAM when {{*}} in run {number}", SPEC)


def by_heading(number: int) -> Quote:
    return Quote("needs **{}** of VRAM", SPEC, f"Scenario {number}")


def by_marks_alone(number: int) -> Quote:
    return Quote("**{}**", SPEC, f"Scenario {number}")


def by_occurrence(number: int) -> Quote:
    return Quote("model {*} needs **{}** of", SPEC, None, number % 20 + 1)


def lost(number: int) -> Quote:
    return Quote(f"needs **{{}}** of VRAM when on, in run {number}", SPEC)


def ambiguous(number: int) -> Quote:
    return Quote(f"needs **{number % 99} GB** of", SPEC)


def work(text: str, quotes: list[Quote], hint: bool = False) -> int:
    """Spots looked at, and characters read beyond the index, for all quotes."""
    document = Document("d", text)
    for quote in quotes:
        find_quote(document, quote, hint=hint)
    return document.index.work + document.index.scanned


@pytest.mark.parametrize("kind", [by_rare_word, by_heading, by_marks_alone, by_occurrence, lost, ambiguous])
def test_work_grows_as_the_input(kind: Callable[[int], Quote]) -> None:
    small, large = (
        work(large_document(scenarios), [kind(number) for number in range(scenarios)]) for scenarios in (500, 2000)
    )
    assert large < 4.4 * small
    assert large < 2000 * 300


def test_words_that_are_common_alone_are_looked_up_together() -> None:
    words = [f"w{number}" for number in range(40)]
    pairs = [(one, two) for one in words for two in words]
    text = "\n\n".join(f"{one} {two} needs 8 GB" for one, two in pairs)
    total = work(text, [Quote(f"{one} {two} needs {{}} GB", SPEC) for one, two in pairs])
    assert total < 30 * len(pairs)


def test_rows_and_columns_are_looked_up_at_once() -> None:
    rows = 2000
    table = "| Name | VRAM |\n|---|---|\n" + "".join(f"| m{row} | ~{row} GB |\n" for row in range(rows))
    document = Document("d", f"# T\n\n{table}")
    ref = TableRef("T", None, SPEC)
    for row in range(rows):
        found = find_cell(document, Cell(ref, f"m{row}", "VRAM", SPEC, Quote("~{} GB", SPEC)))
        assert isinstance(found, Match)
        assert found.slots[0].text == str(row)
    assert document.index.work + document.index.scanned < 30 * rows


def test_many_quotes_of_marks_alone_in_a_small_document_are_all_found() -> None:
    document = Document("d", "needs **8 GB** of memory. " + "More is said here. " * 50)
    for _ in range(2000):
        assert isinstance(find_quote(document, Quote("**{}**", SPEC)), Match)


def test_quotes_of_marks_alone_cannot_read_a_large_document_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.documents.matching._SCANNED", 1000)
    document = Document("d", "x" * 1000)
    codes = [find_quote(document, Quote("*{}", SPEC), hint=False).code for _ in range(300)]
    assert (codes[0], codes[-1]) == ("D201", "D202")
    assert document.index.scanned < 400 * 1000


def test_hints_are_bounded_by_lines_compared_not_by_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("toolkit.documents.nearest.likeness", lambda one, other: compared.append(1) or 0.0)
    document = Document("d", "needs 8 GB of memory\n" * 5000)
    find_quote(document, Quote("needs {} GB of VRAM", SPEC))
    assert 0 < len(compared) <= 20


@pytest.mark.benchmark(group="documents")
def test_ten_thousand_quotes_in_a_megabyte(benchmark: BenchmarkFixture) -> None:
    text = large_document(QUOTES)
    quotes = [(by_rare_word, by_heading, by_marks_alone)[number % 3](number) for number in range(QUOTES)]

    def bind_all() -> int:
        document = Document("d", text)
        return sum(isinstance(find_quote(document, quote), Match) for quote in quotes)

    assert 900_000 < len(text) < 1_100_000
    assert benchmark.pedantic(bind_all, rounds=3) == QUOTES


@pytest.mark.benchmark(group="documents")
def test_the_structure_of_a_megabyte(benchmark: BenchmarkFixture) -> None:
    text = large_document(QUOTES)
    assert benchmark.pedantic(lambda: len(Document("d", text).headings), rounds=3) == QUOTES
