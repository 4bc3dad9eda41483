"""The committed documents: each figure of the source is carried over, and each memory figure is claimed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from toolkit.documents.bind import Binding, bind
from toolkit.documents.document import Document, read_document
from toolkit.finding import Place
from toolkit.quantity import find_values
from toolkit.quantity.value import Dimension
from toolkit.spec.load import load_spec

ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "specs" / "documents"

# Typed from the sources, not from the documents: a figure or repetition that a document drops fails here. Each line of
# a table is how often a figure stands in its document, and the figure.
FIGURES = {
    table.stem: {
        figure: int(count)
        for count, _, figure in (line.partition("\t") for line in table.read_text(encoding="utf-8").splitlines())
    }
    for table in sorted((Path(__file__).parent / "figures").glob("*.tsv"))
}

# Memory figures that claim nothing: what a GB is, the reason for a small batch, a column heading, a form of weights,
# the name of a card.
NOT_CLAIMED = {
    "qwen2.5-coder-7b": ["16–24GB", "1 GB", "24GB"],
    "gpt-oss-20b": [],
    "llama-qwen-inference": ["4 bits"] * 5,
    "jailbreak-detector-large": [],
    "yi-34b-to-llama-2-13b": ["80GB", "40GB"],
}
MEMORY_FIGURES = {
    "qwen2.5-coder-7b": 40,
    "gpt-oss-20b": 25,
    "llama-qwen-inference": 100,
    "jailbreak-detector-large": 25,
    "yi-34b-to-llama-2-13b": 23,
}


def occurrences(text: str, figure: str) -> int:
    """How often a figure stands in a text, not counting where it is a part of a longer one."""
    return len(re.findall(rf"(?<![\w.,]){re.escape(figure)}(?!\w|[.,]\d)", text))


def document(slug: str) -> str:
    return (DOCUMENTS / slug / "document.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("slug", "figure", "count"),
    [(slug, figure, count) for slug, figures in FIGURES.items() for figure, count in figures.items()],
)
def test_figure_of_the_source_is_carried_over(slug: str, figure: str, count: int) -> None:
    assert occurrences(document(slug), figure) == count


@pytest.mark.parametrize("slug", FIGURES)
def test_document_says_whose_figures_they_are(slug: str) -> None:
    notice = document(slug).split("\n## ")[0].split("\n# ")[0]
    assert "> **The figures on this page are its source's, not ours.**" in notice
    assert not re.search(r"\d\s?GB", notice), "the notice states no figure of its own"


def test_figures_are_counted_whole() -> None:
    assert occurrences("14 GB, 4 GB and 4 GBx, ~4 GB.", "4 GB") == 2
    assert occurrences("80%, 80 val, 75-80%, 180", "80") == 3
    assert occurrences("0.25 GB, 25 GB. 25 GB.5", "25 GB") == 1


def bound(slug: str) -> tuple[Document, Binding]:
    spec, findings = load_spec(DOCUMENTS / slug / "claims.yaml", ROOT)
    assert findings == []
    assert spec is not None
    read = read_document(spec.document_path, ROOT)
    assert isinstance(read, Document), read
    return read, bind(spec, read)


@pytest.mark.parametrize("slug", FIGURES)
def test_every_claim_is_bound(slug: str) -> None:
    _, binding = bound(slug)
    assert binding.findings == ()


@pytest.mark.parametrize("slug", FIGURES)
def test_every_memory_figure_is_claimed(slug: str) -> None:
    read, binding = bound(slug)
    said = [claim.slot_place for claim in binding.claims if claim.slot_place is not None]
    # The card's memory is the condition of a claim that something fits, not its value: the quote holds it.
    said += [claim.place for claim in binding.claims if claim.claim.quantity == "fits"]
    said += [value.place for value in binding.values.values()]
    figures = [value for value in find_values(read.text) if value.unit.dimension is Dimension.BYTES]
    assert len(figures) >= MEMORY_FIGURES[slug]
    left = [value.text for value in figures if not covered(read.place(value.start, value.end), said)]
    assert left == NOT_CLAIMED[slug]


def covered(place: Place, spans: list[Place]) -> bool:
    start, end = (place.line, place.column), (place.end_line, place.end_column)
    return any((span.line, span.column) <= start and end <= (span.end_line, span.end_column) for span in spans)
