"""Inline Markdown as a reader sees it."""

import pytest

from toolkit.documents.plain import plain


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("GPU VRAM", "GPU VRAM"),
        ("**Full** FT  (FP32)", "Full FT (FP32)"),
        ("***very*** _much_ __so__", "very much so"),
        ("`q_proj` and gate_proj", "q_proj and gate_proj"),
        ("``a ` b`` *c*", "a ` b c"),
        ("~~old~~ new, ~94 GB", "old new, ~94 GB"),
        ("[LoRA](https://e.org/a_b 'x') ![alt](i.png) [ref][1]", "LoRA alt ref"),
        ("2 * 3 = 6", "2 * 3 = 6"),
        (r"\*not\* `\*code`", r"*not* \*code"),
        ("✔️ Yes", "✔ Yes"),
        ("A &amp; B &lt; C", "A & B < C"),
        ("a<br>b <b>c</b>", "a b c"),
        ("Title {#anchor}", "Title"),
        ("set {a} here", "set {a} here"),
        ("a\nb", "a b"),
        ("> 16 GB", "> 16 GB"),
        ("", ""),
        ("\ue0000\ue001", "0"),
        ("*" * 50, ""),
    ],
)
def test_plain(raw: str, shown: str) -> None:
    assert plain(raw) == shown


def test_only_the_first_thousand_characters_are_looked_at() -> None:
    assert plain("a" * 5000) == "a" * 1000
