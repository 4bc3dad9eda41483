"""What a message shows of a stranger's text, and how many suggestions a file may cost."""

from __future__ import annotations

from toolkit.spec.yaml.known import MAX_SHOWN, limited_guesses, meant, shown, unknown


def test_text_is_shown_on_one_line_without_control_characters() -> None:
    assert shown("a\n  b\tc") == "a b c"
    assert shown("a\x1b[31mb\u202e") == "a\\x1b[31mb\\u202e"
    assert len(shown("x" * 10_000)) == MAX_SHOWN


def test_the_name_that_was_meant() -> None:
    assert meant("batchsize", ["batch_size", "model"]) == "batch_size"
    assert meant("float32", ["bf16", "fp32"]) == "fp32"
    assert meant("zzz", ["bf16", "fp32"]) is None
    assert unknown("a dtype", "bf61", ["bf16"]) == ("bf61 is not a dtype; known: bf16", "write bf16")


def test_guesses_come_to_an_end_and_back() -> None:
    with limited_guesses(2):
        assert [meant("modell", ["model"]) for _ in range(3)] == ["model", "model", None]
    assert meant("modell", ["model"]) == "model"
