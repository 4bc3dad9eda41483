"""What holds of any text: no crash, exact places, and work in proportion to the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.work import calls
from toolkit.checks.unspecified.run import judged
from toolkit.documents.document import Document
from toolkit.documents.scan.scan import scan
from toolkit.quantity import find_values

FIGURES = [
    "24 GB",
    "~14,5 Go",
    "7B",
    "13B parameters",
    "0.3 %",
    "44% less ",
    "9" * 50,
    "显存24G",
    " GiB (",
    " = ",
    " + ",
    " × ",
]
WORDS = ["✅", "âœ…", "‚úÖ", "→", "(", ")", "RTX 4090", "Llama-2-7b", "VRAM", "needs ", "fits on ", "Total"]
MARKUP = [
    "|",
    "\n",
    "\n\n",
    "| a | VRAM (GB) |\n|---|---|\n",
    "```\n",
    "# ",
    "- ",
    "> ",
    "<td>",
    "<table><tr>",
    "</table>",
]
ODD = ["<!--", "-->", "`", "**", "\x00", "\u202e", "\r\n", "\r"]
PIECES = st.sampled_from([*FIGURES, *WORDS, *MARKUP, *ODD])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=40).map("".join))
def test_any_text_is_read_and_every_figure_stands_at_its_place(text: str) -> None:
    scanned = scan(Document("guide.md", text))
    for claim in judged(scanned):
        start = scanned.document.offset(claim.place.line, claim.place.column)
        assert text[start : start + len(claim.text)] == claim.text
        assert claim.text.strip()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 9999), st.sampled_from(["GB", "GiB", "MB"]), st.sampled_from(["", "~", "≈ ", "up to "]))
def test_the_text_at_a_place_is_the_value(number: int, unit: str, hedge: str) -> None:
    text = f"# Guide\n\n> - Peak VRAM is **{hedge}{number} {unit}** here.\n"
    scanned = scan(Document("guide.md", text))
    [claim] = scanned.claims
    [value] = find_values(scanned.written(claim.start, claim.end))
    assert value.printed == (number,)
    assert value.unit.symbol == unit


HOSTILE = {
    "figures": "24GB ",
    "lines": "needs 24 GB of VRAM\n",
    "paragraphs": "needs 24 GB of VRAM.\n\n",
    "rows": "| RTX 4090 | 24GB |\n",
    "cells": "<td>24GB",
    "comments": "<!--",
    "brackets": "(1+",
    "quotes": "> ",
    "mojibake": "âœ…",
    "lead bytes": "â",
    "names": "Llama 2 ",
    "cards": "RTX ",
    "links": "](http://",
    "backticks": "`a",
    "arrows": "25GB → 14GB 44% less ",
    "digits": "1",
    "words": "fits on memory of ",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_work_grows_with_the_text_and_no_faster(unit: str) -> None:
    """Four times the text is four times the calls; a quadratic step would be sixteen."""
    _work(unit)  # what is read or worked out once for all
    small = _work(unit * (8_000 // len(unit)))
    large = _work(unit * (32_000 // len(unit)))
    assert large < 6 * small + 10_000


def _work(text: str) -> int:
    document = Document("guide.md", f"| a | VRAM |\n|---|---|\n{text}")
    return calls(lambda: judged(scan(document)))
