"""Amounts that no word beside them explains, in documents about models and in others; expected by reading."""

import pytest

from tests.documents.scan.scanned import found

_MODELS = "# Notes\n\nWe run the model by inference on GPUs, quantized; LoRA too.\n\n"
"""Speaks of models, and never of memory."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("At 9.9 GiB the batch is bound.", "9.9 GiB"),
        ("We are happy with about 5 GB.", "about 5 GB"),
        ("Ce lot monte vers 11 Go chez nous.", "11 Go"),
        ("Worst case two of them coexist (~4.6 GB) until one starts.", "~4.6 GB"),
        ("```\n# 4 * 60GB\n```", "60GB"),
        ("名前: 小\n大小: 72 MB\n", "72 MB"),
    ],
)
def test_an_amount_in_a_document_about_models_is_one_of_memory(text: str, expected: str) -> None:
    assert [figure for _, figure in found(_MODELS + text)] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "It was fed 16 GB of raw text.",
        "The corpus is 524 MB in all.",
        "1.7 TB of online texts, books, and countless other sources.",
        "第一阶段，16GB中英文无监督语料。",
        "Every message: 678 MB to all.",
        "The ccache alone is capped at 5 GB.",
        "A package of 2 GB is fetched by pip.",
        "GPFS with a block size of 16 MiB there.",
        "- 10 GB: 2-4 hours",
        "| Run | Log size |\n|---|---|\n| one | 2 GB |\n",
        "5 GB",
    ],
)
def test_a_word_that_says_what_else_it_is_makes_it_none(text: str) -> None:
    assert found(_MODELS + text) == []


def test_a_document_about_something_else_claims_nothing() -> None:
    assert found("# Cooking\n\nThe video is long, about 5 GB it is.\n") == []
