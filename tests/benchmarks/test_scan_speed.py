"""How long `toolkit scan` takes: one large document, a thousand small ones, and text made to be slow.

Run by `make bench`; the bounds hold on an ordinary machine and are checked there only.
"""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from toolkit.checks.unspecified.run import judged, scan_documents
from toolkit.documents.document import Document
from toolkit.documents.scan.scan import scan

LARGE = 10 * 2**20
LARGE_SECONDS = 15.0
MANY = 1_000
MANY_SECONDS = 5.0
DENSE = 2**18
DENSE_SECONDS = 15.0
"""Text of nothing but figures costs far more than a document: each is read with the words around it."""

PROSE = (
    "We read the results twice before writing them down, and changed the order of the paragraphs on the second day. "
)
SECTION = (
    "## Setup {n}\n\n" + PROSE * 8 + "\n\nFull fine-tuning of a 7B model needs ~{n} GB of VRAM, LoRA 18 GB.\n\n"
    "```python\n"
    + "total = total + step  # one more\n"
    * 30
    + "```\n\n- first, version 1.{n}\n- second, port 80{n}\n\n"
    "| Model | VRAM (GB) | Epochs |\n|---|---|---|\n| Llama 2 13B | {n} | 3 |\n| Mistral-7B | 16 | 2 |\n\n"
    + PROSE * 16
    + "\n\n"
)
"""Some 4 KB with six figures, four of them of memory: the density of guides."""

SLOW = {
    "figures in one line": "24GB ",
    "lines of one paragraph": "needs 24 GB of VRAM\n",
    "headings": "## RTX 4090 24GB\n",
    "rows": "| RTX 4090 | 24GB |\n",
    "cells of one row": "24GB|",
    "HTML cells": "<td rowspan=99 colspan=99>24GB",
    "quotes within quotes": "> ",
    "lists within lists": "- ",
    "parentheses": "(1+",
    "mojibake": "âœ…",
    "backticks": "`a",
    "comments": "<!--",
}


def sections(length: int) -> str:
    text: list[str] = []
    size = number = 0
    while size < length:
        number = number % 98 + 1
        text.append(SECTION.format(n=number))
        size += len(text[-1])
    return "".join(text)


@pytest.mark.benchmark(group="scan")
def test_a_document_of_ten_mebibytes(benchmark: BenchmarkFixture) -> None:
    document = Document("large.md", sections(LARGE))
    claims = benchmark.pedantic(lambda: judged(scan(document)), rounds=1)
    assert len(claims) > 2 * LARGE // len(SECTION)
    assert benchmark.stats["min"] < LARGE_SECONDS


@pytest.mark.benchmark(group="scan")
def test_a_thousand_documents(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.md" for number in range(MANY)]
    for number, path in enumerate(paths):
        path.write_text(f"# Guide {number}\n\n{sections(1)}", encoding="utf-8")
    result = benchmark.pedantic(scan_documents, (paths, tmp_path), rounds=1)
    assert len(result.documents) == MANY
    assert benchmark.stats["min"] < MANY_SECONDS


@pytest.mark.benchmark(group="scan")
@pytest.mark.parametrize("unit", SLOW.values(), ids=SLOW)
def test_a_quarter_of_a_mebibyte_of_one_thing(benchmark: BenchmarkFixture, unit: str) -> None:
    text = f"| a | VRAM |\n|---|---|\n{unit * (DENSE // len(unit))}"
    benchmark.pedantic(lambda: judged(scan(Document("slow.md", text))), rounds=1)
    assert benchmark.stats["min"] < DENSE_SECONDS
