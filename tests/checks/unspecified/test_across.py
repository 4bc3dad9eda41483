"""Statements that two documents make with different figures."""

from datetime import date
from pathlib import Path

import pytest

from toolkit.checks.unspecified.across import Statements
from toolkit.checks.unspecified.run import scan_documents
from toolkit.codes import CODES
from toolkit.documents.directives.ignore import DIFFERING
from toolkit.documents.document import Document
from toolkit.documents.scan.scan import scan

WORDS = "# {title}\n\n{before}Fine-tuning Mistral-7B-v0.1 with QLoRA takes about {figure} of GPU memory on one card.\n"
TABLE = (
    "# {title}\n\n| Model | Method | Batch | VRAM |\n|---|---|---|---|\n| Mistral-7B-v0.1 | {method} | 4 | {figure} |\n"
)
NAMED = (
    "# {title}\n\n{lead} Mistral-7B-v0.1 in bf16: inference with batch size 2 and a sequence length of 4096 takes"
    " {figure} of VRAM.\n"
)


def differing(*texts: str) -> list[str]:
    statements = Statements()
    documents = [Document(f"docs/{number}.md", text) for number, text in enumerate(texts)]
    return [str(finding) for document in documents for finding in statements.differing(scan(document))]


def test_the_same_words_with_another_figure() -> None:
    one = WORDS.format(title="Guide", before="", figure="14 GB")
    other = WORDS.format(title="Notes", before="In short:\n\n", figure="**18 GB**")
    assert differing(one, other) == [
        'docs/1.md:5:46: D214 "about **18 GB**" (peak_memory) is "about 14 GB" in the same statement at docs/0.md:3:46'
    ]


@pytest.mark.parametrize("figure", ["14 GB", "14.2 GB", "13.5 GiB", "at least 18 GB", "18 tokens"])
def test_figures_that_may_be_one_are_not_told_apart(figure: str) -> None:
    """Hedged, 14 GB reach from 13.3 to 14.7, in both readings of GB; a bound is not the figure itself."""
    one, other = (WORDS.format(title="Guide", before="", figure=each) for each in ("14 GB", figure))
    assert differing(one, other) == []


def test_a_row_of_a_table() -> None:
    one = TABLE.format(title="Guide", method="QLoRA", figure="14 GB")
    assert len(differing(one, TABLE.format(title="Notes", method="QLoRA", figure="18 GB"))) == 1
    assert differing(one, TABLE.format(title="Notes", method="LoRA", figure="18 GB")) == []
    assert differing(one, TABLE.format(title="Notes", method="QLoRA", figure="18 GB").replace("VRAM", "GPU RAM")) == []


def test_other_words_about_one_situation_that_is_named_whole() -> None:
    one = NAMED.format(title="Guide", lead="On an A100 80GB,", figure="16 GB")
    assert len(differing(one, NAMED.format(title="Notes", lead="As measured on an A100 80GB,", figure="19 GB"))) == 1
    assert differing(one, NAMED.format(title="Notes", lead="As measured on a T4,", figure="19 GB")) == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("Mistral-7B-v0.1", "Llama-2-13b"), ("Mistral-7B-v0.1", "It"), ("QLoRA", "LoRA"), ("one card", "two cards")],
)
def test_another_situation_or_none_that_is_named(wrong: str, right: str) -> None:
    one = WORDS.format(title="Guide", before="", figure="14 GB")
    assert differing(one, one.replace("14 GB", "18 GB").replace(wrong, right)) == []


def test_a_document_is_not_compared_with_itself() -> None:
    text = WORDS.format(title="Guide", before="", figure="14 GB") + WORDS.format(
        title="More", before="", figure="18 GB"
    )
    assert differing(text) == []


def write(folder: Path, name: str, figure: str, comment: str = "") -> Path:
    path = folder / name
    path.write_text(WORDS.format(title=name, before=comment, figure=figure), "utf-8")
    return path


def test_a_run_over_documents_warns_and_does_not_gate(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.md", "14 GB"), write(tmp_path, "b.md", "18 GB"), write(tmp_path, "c.md", "14 GB")]
    result = scan_documents(paths, tmp_path)
    [finding] = result.findings
    assert (finding.code, finding.place.path, finding.related[0].place.path) == (DIFFERING, "b.md", "a.md")
    assert DIFFERING in CODES
    assert not result.gates


def test_a_comment_answers_for_a_difference(tmp_path: Path) -> None:
    comment = '<!-- toolkit: ignore D214 reason="another release" -->\n\n'
    paths = [write(tmp_path, "a.md", "14 GB"), write(tmp_path, "b.md", "18 GB", comment)]
    assert scan_documents(paths, tmp_path, today=date(2026, 1, 1)).findings == ()
