"""What is said of quotes that are not found, or found too often."""

import pytest

from tests.documents.build import refused
from toolkit.finding import printable


def test_a_lost_quote_shows_the_nearest_line() -> None:
    finding = refused("# A\n\n- needs **94 GB** of memory\n- needs time\n", "needs **{}** of VRAM")
    assert finding.code == "D201"
    assert finding.message == (
        'quote "needs **{}** of VRAM" is not in guide.md; nearest text, line 3: "- needs **94 GB** of memory"'
    )


def test_a_short_line_with_one_word_of_a_quote_is_not_nearer_than_the_sentence_that_was_changed() -> None:
    text = "QLoRA with rank 16, batch size 2 and 2,048 tokens takes ~12 GB of VRAM and fits on one card.\n\n"
    text += "| Method | VRAM |\n|---|---|\n| LoRA | 21 GB |\n"
    assert "nearest text, line 1" in refused(text, "needs {~12 GB} of VRAM").message


def test_a_lost_quote_like_nothing_is_shown_nothing() -> None:
    assert refused("# A\n\nsome text about cats\n", "needs **{}** of VRAM").message == (
        'quote "needs **{}** of VRAM" is not in guide.md'
    )


def test_the_nearest_text_of_a_long_line_begins_near_its_words() -> None:
    message = refused("word " * 100 + "it needs 94 GB of memory " + "word " * 100, "needs {} of VRAM").message
    assert "needs 94 GB of memory" in message
    assert len(message) < 250


def test_a_quote_under_another_heading_is_told() -> None:
    finding = refused("# A\nx\n# B\nneeds 8 GB\n", "needs {}", "A")
    assert finding.message == 'quote "needs {}" is not in guide.md under "A"; it stands at 4:1, under another heading'


def test_a_quote_that_is_part_of_a_longer_word_is_told() -> None:
    finding = refused("7B × 2 bytes", "7B × 2 byte")
    assert finding.message.endswith("it stands only as part of a longer word or number, at 1:1")


def test_an_ambiguous_quote_lists_up_to_five_places() -> None:
    finding = refused("x 1 GB\n" * 2, "x {} GB")
    assert finding.code == "D202"
    assert finding.message == 'quote "x {} GB" stands more than once in guide.md: at 1:1, 2:1'
    assert refused("x 1 GB\n" * 9, "x {} GB").message.endswith("at 1:1, 2:1, 3:1, 4:1, 5:1 and more")


def test_an_occurrence_that_is_not_there() -> None:
    finding = refused("x 1 GB\nx 2 GB\n", "x {} GB", None, 3)
    assert finding.code == "D201"
    assert finding.message == 'quote "x {} GB" stands only 2 times in guide.md'
    assert finding.repair == "Write an `occurrence` up to 2."


def test_a_heading_that_is_not_there() -> None:
    assert refused("# A\n", "x {}", "B").code == "D206"


def test_words_that_stand_too_often_are_ambiguous_at_a_bounded_cost() -> None:
    finding = refused("a b\n\nc b\n\n" * 2000, "a {} c")
    assert finding.code == "D202"
    assert "too often" in finding.message


@pytest.mark.parametrize("quote", ["", "{}", "{*}", "{}{*} x", "{ x", "x }", "{} x {}", "x" * 3000])
def test_a_quote_that_cannot_be_taken_apart(quote: str) -> None:
    assert refused("x", quote).code == "S104"


def test_control_characters_do_not_reach_messages() -> None:
    text = "needs \x1b[31m8 GB\x07\u202e of memory now\n"
    message = refused(text, "needs \x1b {} of VRAM now").message
    assert "8 GB" in message
    assert message == printable(message)
    assert "\\x1b[31m" in message
    assert "\\u202e" in message


def test_printable_keeps_what_people_write() -> None:
    text = "ß ≈ 8 GB ✔️ 显存 👩‍💻"
    assert printable(text) == text
    assert printable("a\nb\x00\ud800\u2066") == "a\\nb\\x00\\ud800\\u2066"
