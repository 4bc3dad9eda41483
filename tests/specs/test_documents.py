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

# Typed from the sources, not from the documents: a figure or repetition that a document drops fails here.
FIGURES = {
    "qwen2.5-coder-7b": {
        "~7,000,000,000": 1,
        "2 FP32": 2,
        "512": 2,
        "16–24GB": 2,
        "1 GB ≈ (10^9) bytes": 1,
        "(4 bytes)": 2,
        "7B params × 4 bytes": 1,
        "7B × 8 bytes": 2,
        "7B × 2 bytes": 1,
        "7B × 0.5 bytes": 1,
        "7B × 0.003": 1,
        "21M × 2 bytes": 1,
        "21M × 8 bytes": 1,
        "21M trainable parameters": 1,
        "28 GB": 2,
        "14 GB": 2,
        "56 GB": 2,
        "8 GB": 1,
        "6 GB": 2,
        "4 GB": 3,
        "~4 GB": 1,
        "3.5 GB": 1,
        "2 GB": 1,
        "0.042 GB": 2,
        "0.168 GB": 1,
        "0.25 GB": 1,
        "~0.3%": 1,
        "4-bit": 3,
        "4-bit = 0.5 bytes/param": 1,
        "28 + 28 + 56 + 8 + 4 = ~124 GB VRAM": 1,
        "14 + 14 + 56 + 6 + 4 = ~94 GB VRAM": 1,
        "4 + 0.25 + 6 + 2 = ~12.25 GB VRAM": 1,
        "~124 GB": 2,
        "~94 GB": 2,
        "~12–16 GB": 1,
        "~124GB": 1,
        "~94GB": 1,
        "~12–16GB": 1,
        "24GB GPU?": 1,
        "❌ Impossible": 2,
        "✔ Yes": 1,
        "✔": 9,
        "❌": 2,
    },
    "gpt-oss-20b": {
        "11.67GB": 5,
        "16GB": 12,
        ">16GB": 2,
        "15.58GB": 1,
        "15.25GB": 1,
        "62GB": 1,
        "40GB": 3,
        "~40GB": 2,
        "80GB": 2,
        "A100 40GB/80GB": 1,
        "H100 80GB": 1,
        "~71%": 1,
        "7.96M": 4,
        "7,962,624": 1,
        "11,049,066,048": 1,
        "0.07%": 4,
        "11B": 2,
        "20B": 5,
        "8B": 1,
        "7B": 2,
        "0.23.0": 7,
        "0.19.0": 7,
        "2025.11.1": 3,
        "2024.11.1": 1,
        "2.8.0+cu128": 1,
        "4.57.1": 1,
        "0.48.2": 1,
        "12.8": 1,
        "3.12.3": 1,
        "3.12": 1,
        "400": 2,
        "320": 6,
        "80": 7,
        "80%": 3,
        "20%": 1,
        "50%": 2,
        "75%": 1,
        "25%": 1,
        "1501": 1,
        "4096": 1,
        "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj": 1,
        "~5 seconds": 1,
        "320 examples × 3 epochs = 960 training steps": 1,
        "8 (2 per device × 4 grad accumulation)": 1,
        "120 batches": 1,
        "2-3 hours": 1,
        "69%": 1,
        "77.1%": 1,
        "75-80%": 1,
        "80%+": 1,
        "+6-11%": 1,
        "12-22": 1,
        "200": 1,
        "2x": 1,
        "0.05": 1,
        "16": 2,
        "1 hour": 2,
        "30 minutes": 1,
        "3 hours": 2,
        "5.5 hours": 1,
        "2025-11-05": 1,
        "November 5, 2025": 1,
        "step 0": 1,
        "RTX 4070 Ti SUPER": 3,
        "RTX 4070 Ti": 4,
        "MXFP4": 7,
        "BF16": 4,
        "4-bit": 10,
        "✅": 28,
        "❌": 4,
        "⚠️": 2,
        "🔄": 1,
    },
}

# Memory figures that claim nothing: what a GB is, the reason for a small batch, and a column heading.
NOT_CLAIMED = {
    "qwen2.5-coder-7b": ["16–24GB", "1 GB", "24GB"],
    "gpt-oss-20b": [],
}
MEMORY_FIGURES = {"qwen2.5-coder-7b": 40, "gpt-oss-20b": 25}


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
