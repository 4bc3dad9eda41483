"""Comments that speak to the toolkit: which are read, what they say, and what they speak of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.codes import CODES
from toolkit.documents.directives.comment import MOST, read_comments
from toolkit.documents.directives.ignore import IGNORABLE, read_ignores
from toolkit.documents.document import Document


def comments(text: str) -> list[tuple[str, list[str], dict[str, str]]]:
    """What the comments of a text say; all of them must be understood."""
    found, findings = read_comments(Document("guide.md", text))
    assert findings == []
    return [
        (one.verb, [word.text for word in one.words], {key: value.text for key, value in one.values.items()})
        for one in found
    ]


def scopes(text: str) -> list[tuple[int, int]]:
    """The lines that each comment to ignore something speaks of."""
    ignores, findings = read_ignores(Document("guide.md", text))
    assert findings == []
    return [(one.first, one.last) for one in ignores]


def refusals(text: str) -> list[str]:
    """Places and messages of what is wrong."""
    _, findings = read_ignores(Document("guide.md", text))
    assert {finding.code for finding in findings} <= {"D211"}
    return [f"{finding.place.line}:{finding.place.column} {finding.message}" for finding in findings]


IGNORE = '<!-- toolkit: ignore M301 reason="it is so" -->'


def test_a_comment_has_a_verb_words_and_values() -> None:
    text = "<!--toolkit:ignore M301 A501 reason = \"a --flag = 'x'\" until=2027-03-01-->\n\nx\n"
    assert comments(text) == [("ignore", ["M301", "A501"], {"reason": "a --flag = 'x'", "until": "2027-03-01"})]


def test_a_comment_may_have_lines() -> None:
    assert comments("<!-- toolkit: claim weights\n  scenario=a\n-->28 GB") == [
        ("claim", ["weights"], {"scenario": "a"})
    ]


@pytest.mark.parametrize(
    "text",
    [
        "no comment",
        "<!-- another comment -->",
        "<!-- nottoolkit: ignore -->",
        f"```\n{IGNORE}\n```\n",
        f"    {IGNORE}\n",
        f"text `{IGNORE}` text",
        f"text ``a ` {IGNORE}`` text",
        f"<!-- outside {IGNORE[4:]}",
        f'---\ntitle: "{IGNORE[:20]}"\n---\n',
        "<!-- never closed",
    ],
)
def test_what_does_not_speak_to_the_toolkit(text: str) -> None:
    assert comments(text) == []


@pytest.mark.parametrize(
    "text",
    [
        f"`a` {IGNORE} `b`",
        f"` {IGNORE}",
        f"`` a ` {IGNORE}",
        f"- {IGNORE}\n",
        f"> {IGNORE}\n> x",
        f"<div>{IGNORE}</div>",
    ],
)
def test_what_does(text: str) -> None:
    assert len(comments(text)) == 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{IGNORE}\nfirst\nsecond\n\nthird", (2, 3)),
        (f"{IGNORE}\n\n\nfirst\n# Heading\n", (4, 4)),
        (f"x\ntext {IGNORE}\nmore\n", (2, 2)),
        (f"{IGNORE} text\nmore\n", (1, 1)),
        (f"{IGNORE}\n{IGNORE.replace('M301', 'A501')}\ntext\n", (3, 3)),
        (f"{IGNORE}\n# Heading\ntext\n", (2, 2)),
        (f"{IGNORE}\n- one\n- two\n", (2, 2)),
        (f"- {IGNORE}\n  text\n- two\n", (2, 2)),
        (f"{IGNORE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\ntext\n", (3, 6)),
        (f"| a | b |\n|---|---|\n| 1 {IGNORE} | 2 |\n| 3 | 4 |\n", (3, 3)),
        (f"{IGNORE}\n```\na\n\nb\n```\ntext\n", (2, 6)),
        (f"> {IGNORE}\n>\n> text\n> more\n\nout\n", (3, 4)),
    ],
)
def test_a_comment_speaks_of_its_line_or_of_the_next_block(text: str, lines: tuple[int, int]) -> None:
    assert scopes(text)[0] == lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- toolkit: -->\n\nx", "1:1 the comment asks for nothing; known: ignore, claim, end"),
        (
            "<!-- toolkit: ignroe M301 -->\n\nx",
            '1:15 "ignroe" is nothing that a comment can ask for; known: ignore, claim, end',
        ),
        ('<!-- toolkit: ignore reason="x" -->\n\nx', "1:1 ignore names no code"),
        ("<!-- toolkit: ignore M301 -->\n\nx", "1:1 a reason is needed"),
        ('<!-- toolkit: ignore M301 reason="" -->\n\nx', "1:1 a reason is needed"),
        ('<!-- toolkit: ignore M301 reason="-" -->\n\nx', "1:1 a reason is needed"),
        ('<!-- toolkit: ignore M399 reason="x" -->\n\nx', '1:22 no finding has the code "M399"'),
        (
            '<!-- toolkit: ignore D201 reason="x" -->\n\nx',
            "1:22 D201 is not about what a document states: it cannot be ignored in one",
        ),
        (
            '<!-- toolkit: ignore M301 reason="x" untill=2027-01-01 -->\n\nx',
            '1:45 "untill" is nothing that ignore knows; known: reason, until',
        ),
        (
            '<!-- toolkit: ignore M301 reason="x" until=2027-02-30 -->\n\nx',
            '1:44 "2027-02-30" is not a date such as 2027-03-01',
        ),
        ('<!-- toolkit: ignore M301 reason="x" reason="y" -->\n\nx', "1:38 reason is written twice"),
        ("<!-- toolkit: ignore M301 reason=\u201cx y\u201d -->\n\nx", '1:22 no finding has the code "M301"'),
        ('<!-- toolkit: ignore M301 reason="x -->\n\nx', '1:33 "="x" cannot be read'),
        ('<!-- toolkit: ignore M301 reason="x" -->\n', "1:1 no text follows that it could speak of"),
        ("x\n\n<!-- toolkit: ignore M301", "3:1 the comment does not end"),
        (f'<!-- toolkit: ignore M301 reason="{"x" * 3000}" -->\n\nx', "1:1 a comment of more than 2,000 characters"),
    ],
)
def test_a_comment_that_is_not_understood_is_told_at_its_place(text: str, said: str) -> None:
    if "\u201c" in text:  # curly quotation marks part the reason at its spaces: the rest is taken for a code
        assert 'no finding has the code "y\u201d"' in refusals(text)[0]
    else:
        assert refusals(text)[0] == said


def test_every_code_of_a_claim_can_be_ignored() -> None:
    assert {"M301", "A501", "P401", "R601", "W701", "Q801", "D210"} <= set(IGNORABLE) <= set(CODES)
    assert not {"K901", "K902", "S101", "D201"} & set(IGNORABLE)


def test_too_many_comments_are_told() -> None:
    assert refusals(f"text {IGNORE}\n" * (MOST + 1)) == [f"{MOST + 1}:6 more than 1,000 comments to the toolkit"]


PIECES = st.sampled_from(
    [
        "<!--",
        "-->",
        "toolkit:",
        " ignore",
        " claim",
        " end",
        " M301",
        ' reason="x"',
        "`",
        "```\n",
        "\n",
        "> ",
        "|",
        "28 GB",
        "\x00",
        "\u202e",
        "=",
        '"',
    ]
)


@given(st.lists(PIECES, max_size=40))
def test_no_text_breaks_the_reading(pieces: list[str]) -> None:
    document = Document("guide.md", "".join(pieces))
    ignores, findings = read_ignores(document)
    lines = len(document.lines)
    assert all(1 <= one.first <= one.last <= lines for one in ignores)
    assert all(1 <= one.place.line <= lines for one in findings)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- toolkit: " * 30_000,
        "<!-- toolkit: ignore -->" * 20_000,
        "`" * 300_000 + IGNORE,
        ("`a " * 50_000) + IGNORE + "\n",
        "<!--" + " " * 400_000 + "toolkit:",
        f"{IGNORE}\n" * 900 + "\n" * 100_000 + "x",
        " ".join("`" * (number % 40 + 1) for number in range(20_000)) + IGNORE,
    ],
    ids=["unclosed", "many", "backticks", "spans", "spaces", "blank lines", "runs"],
)
def test_hostile_comments_are_read_to_their_end(text: str) -> None:
    ignores, _ = read_ignores(Document("guide.md", text))  # what is quadratic does not end here
    assert isinstance(ignores, list)
