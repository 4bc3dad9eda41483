"""What a reader sees of a source, and where it stood."""

from __future__ import annotations

import pytest

from toolkit.quantity.markup import BROKEN, plain_text

SHOWN = [
    ("**94** GB", "94 GB"),
    ("*a* _b_ __c__ `d` ***e***", "a b c d e"),
    ("2 * 3, 2*3, 2**3, 2`3", "2 * 3, 2*3, 2**3, 2`3"),
    ("* a bullet\n* another", "* a bullet\n* another"),
    ("max_seq_length", "max_seq_length"),
    (r"\~94 \* \$5 C:\dir \\", r"~94 * $5 C:\dir \\"[:-1]),
    ("16&nbsp;GB &lt;5 &amp; &foo;", "16\u00a0GB <5 &amp; &foo;"),
    (r"\approx 94 \times 2 \alpha \approxeq", r"≈ 94 × 2 \alpha \approxeq"),
    ("10<sup>9</sup>", "10^9"),
    ('<b>5</b> <span class="x">GB</span>', "5 GB"),
    ("<td>5</td>6<br/>7 1<b>2", "|5|6|7 1|2"),
    ("a < b > c <3", "a < b > c <3"),
    ("≥ 5", "≥ 5"),
    ("", ""),
]


@pytest.mark.parametrize(("source", "shown"), SHOWN)
def test_what_is_shown(source: str, shown: str) -> None:
    assert plain_text(source).text == shown


def test_broken_spellings_are_what_the_encodings_make() -> None:
    for broken, sign in BROKEN.items():
        assert broken in {sign.encode().decode(encoding, errors="replace") for encoding in ("cp1252", "mac_roman")}
        assert plain_text(f"a{broken}b").text == f"a{sign}b"


@pytest.mark.parametrize(
    ("source", "shown", "span"),
    [
        ("x **5 GB** y", "5 GB", "5 GB"),
        ("x **~5** GB y", "~5 GB", "**~5** GB"),
        ("x ≈ **5 GB** y", "≈ 5 GB", "≈ **5 GB**"),
        ("x ≈ **5** *GB* y", "≈ 5 GB", "≈ **5** *GB*"),
        ("x ~<b>5 GB</b> y", "~5 GB", "~<b>5 GB</b>"),
        ("x <b>~5</b> GB y", "~5 GB", "<b>~5</b> GB"),
    ],
)
def test_a_span_holds_both_sides_of_emphasis(source: str, shown: str, span: str) -> None:
    plain = plain_text(source)
    start = plain.text.index(shown)
    first, last = plain.span(start, start + len(shown))
    assert source[first:last] == span
