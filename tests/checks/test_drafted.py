"""A red mark of a draft is one that no other meaning of the document would lift."""

import pytest

from tests.documents.draft.drafts import drafted
from toolkit.checks.judgement import Verdict

TITLE = "# Qwen2.5-7B\n\n## Inference in bf16\n\n"
"""7,615,616,512 parameters: 15.23 GB in bf16."""


def verdicts(text: str) -> list[Verdict]:
    found = drafted(text)
    assert found.findings == ()
    assert found.report is not None
    return [one.verdict for one in found.report.judgements]


@pytest.mark.parametrize(
    "said",
    [
        "The weights take 30 GB of memory.",
        "Running it takes 90 GB of VRAM.",
        "Qwen2.5-7B has 9.1B parameters.",
        "Here 7.6B × 2 bytes = 20 GB.",
    ],
)
def test_what_is_false_in_every_meaning_is_red(said: str) -> None:
    assert Verdict.DISAGREES in verdicts(TITLE + said + "\n")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        # the weights alone: 7.616 B × 4 bytes; training takes four times that
        ("# Full fine-tuning of Qwen2.5-7B in fp32\n\nIt takes 30.5 GB of GPU memory.\n", "what is counted here?"),
        # a card that has more than is used
        (TITLE + "It takes 32 GB of VRAM.\n", "what is counted here?"),
        # the size in the name of the model
        (TITLE + "The 7B parameters of Qwen2.5-7B are held.\n", "is it said of just this?"),
    ],
)
def test_what_holds_in_another_meaning_is_asked(text: str, asked: str) -> None:
    found = drafted(text)
    assert found.report is not None
    assert found.counts[Verdict.DISAGREES] == 0
    assert any((claim.question or "").startswith(asked) for claim in found.draft.claims)


def test_numbers_that_the_document_names_elsewhere_may_be_meant() -> None:
    claim = "# Inference with Llama-2-7b in fp16\n\nIt takes ~82 GB of VRAM.\n"  # 512 KiB of keys and values a token
    assert verdicts(claim) == [Verdict.DISAGREES]
    found = drafted(claim + "\n# Server\n\nIt answers with a batch size of 64 and a sequence length of 2048.\n")
    assert found.counts[Verdict.DISAGREES] == 0
    assert (found.draft.claims[0].question or "").startswith("at which setting?")


def test_weights_of_no_stated_form_are_tried_in_every_form() -> None:
    text = "# Inference with Qwen2.5-7B\n\nIt takes 6.3 GB of VRAM.\n"
    found = drafted(text)
    assert (found.draft.claims[0].question or "").startswith("at which setting?")


def test_what_a_rank_decides_is_never_red() -> None:
    text = "# LoRA on Qwen2.5-7B\n\nIt has 999,999,999 trainable parameters.\n"
    found = drafted(text)
    assert found.draft.claims[0].question == "of which rank, on which modules?"


def test_a_card_is_red_where_the_document_gives_it_another_memory() -> None:
    assert verdicts("We use an RTX 4080 (12GB) here.\n") == [Verdict.DISAGREES]
    assert verdicts("We use an RTX 4080 (16GB) here.\n") == [Verdict.AGREES]


def test_a_column_gives_its_cells_their_unit() -> None:
    text = "# Inference in bf16\n\n| Model | VRAM (GB) |\n|---|---|\n| Qwen2.5-7B | 16 |\n| Qwen2.5-14B | 90 |\n"
    true, false = verdicts(text)
    assert (true, false) == (Verdict.DEPENDS, Verdict.DISAGREES)


def test_nothing_to_bind_is_no_draft() -> None:
    found = drafted("# Nothing\n\nThere is nothing here.\n")
    assert (found.draft.claims, found.report, found.findings) == ((), None, ())
