"""What a lost quote reads now: other typography, or the nearest words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.build import SPEC, found, look, refused
from tests.work import calls
from toolkit.documents.document import Document
from toolkit.documents.folded import folded
from toolkit.documents.quotes import find_quote
from toolkit.documents.reworded import other_typography
from toolkit.documents.word_diff import word_diff
from toolkit.finding import Finding
from toolkit.spec.quote import Quote


@pytest.mark.parametrize(
    ("text", "quote", "anew"),
    [
        (
            "It needs **~94\u202fGB** of VRAM \u2014 a lot.",
            "It needs ~{94 GB} of VRAM - a lot",
            "It needs **~{94 GB}** of VRAM \u2014 a lot",
        ),
        (
            "It's \u201cfine\u201d: 16 GB is enough",
            'It\u2019s "fine": {16 GB} is enough',
            "It's \u201cfine\u201d: {16 GB} is enough",
        ),
        ("**Total**: 8 GB", "Total: {8 GB}", "**Total**: {8 GB}"),
        ("Total: 8 GB", "**Total**: {}", "Total: {}"),
        ("uses 8&nbsp;GB of `VRAM` here", "uses {} GB of VRAM here", "uses {}&nbsp;GB of `VRAM` here"),
        ("the \ufb01rst {is} 8 GB", "the first {{is}} {8} GB", "the \ufb01rst {{is}} {8} GB"),
        ("needs about\\\n8 GB of VRAM", "needs about {8 GB} of VRAM", "needs about\\ {8 GB} of VRAM"),
        ("2\u00d780 GB is 160 GB", "2x80 GB is {}", "2\u00d780 GB is {}"),
    ],
)
def test_other_typography_is_the_same_sentence(text: str, quote: str, anew: str) -> None:
    finding = refused(text, quote)
    assert finding.suggestion is not None
    assert finding.suggestion.safe
    assert finding.suggestion.text == anew
    assert "in other typography" in finding.message
    assert found(text, anew).slots


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("10\u00b2 needs 8 GB of it", "102 needs {8 GB} of it"),  # a power is no typography
        ("2*3 GB are 6 GB", "23 GB are {6 GB}"),
        ("q_proj takes 8 GB here", "qproj takes {8 GB} here"),
        ("it needs 8 GB \u2013 here; it needs 9 GB \u2014 here", "it needs {} - here"),  # two places
        ("needs ~8 GB of it", "needs {8} GB of it"),  # bound anyway: not lost
        ("GPU memory is 8 GB", "gpu memory is {8 GB}"),
        ("not needed: 8 GB", "needed \u2014 {8 GB}"),
    ],
)
def test_what_says_something_else_is_no_typography(text: str, quote: str) -> None:
    result = look(text, quote)
    assert not isinstance(result, Finding) or result.suggestion is None or not result.suggestion.safe


@pytest.mark.parametrize(
    ("text", "quote", "anew"),
    [
        ("- needs **94 GB** of memory", "needs **{}** of VRAM", "needs **{}** of memory"),
        ("> one\n> needs 8 GB of VRAM here", "needs {8 GB} of memory here", "needs {8 GB} of VRAM here"),
        ("The sum is 1 + 1 = 2 here.", "The sum is {1 + 1 = 2} there.", "The sum is {1 + 1 = 2} here."),
        ("8 GB of memory is needed for it", "{8 GB} of VRAM is needed for it", "{8 GB} of memory is needed for it"),
        ("x {a} needs 8 GB of VRAM", "x {{a}} needs {8 GB} of memory", "x {{a}} needs {8 GB} of VRAM"),
    ],
)
def test_a_near_miss_is_shown_as_it_would_be_quoted(text: str, quote: str, anew: str) -> None:
    finding = refused(text, quote)
    assert finding.suggestion is not None
    assert finding.suggestion.text == anew
    assert not finding.suggestion.safe
    assert finding.related
    assert found(text, anew).slots


def test_words_that_stand_twice_are_no_suggestion() -> None:
    finding = refused("needs 8 GB of memory\n\nneeds 8 GB of memory\n", "needs {8 GB} of VRAM")
    assert finding.suggestion is None


def test_an_ambiguous_quote_names_its_candidates() -> None:
    finding = refused("first x 1 GB\n\nthen x 2 GB\n", "x {} GB")
    assert finding.code == "D202"
    assert [(one.place.line, one.text) for one in finding.related] == [(1, "first x 1 GB"), (3, "then x 2 GB")]


def test_a_candidate_in_a_long_line_is_cut() -> None:
    finding = refused("word " * 5_000 + "x 1 GB\n\nx 2 GB\n", "x {} GB")
    assert [len(one.text) < 500 for one in finding.related] == [True, True]
    assert "x 1 GB" in finding.related[0].text


def test_a_diff_goes_by_words() -> None:
    assert word_diff("needs **{}** of VRAM", "needs **{}** of memory") == (
        ("=", "needs **{}** of "),
        ("-", "VRAM"),
        ("+", "memory"),
    )


@given(
    st.text("ab 1.*_`~{}<!>-|\n\\&;x\u00a0\u2014\u201c\ufb01", max_size=60),
    st.text("ab 1.*_`~{}-\u2014", min_size=1, max_size=30),
)
def test_a_suggestion_always_binds_to_one_place(text: str, quote: str) -> None:
    document = Document("guide.md", text)
    result = look(text, quote)
    if isinstance(result, Finding) and result.suggestion is not None:
        found(text, result.suggestion.text)
    same = other_typography(document, quote, (document.body, len(text)))
    if same is not None:
        found(text, same.text)


@given(st.text(max_size=60))
def test_a_diff_holds_both_texts(text: str) -> None:
    other = text[::-1]
    pieces = word_diff(text, other)
    assert "".join(piece for sign, piece in pieces if sign != "+") == " ".join(text.split())
    assert "".join(piece for sign, piece in pieces if sign != "-") == " ".join(other.split())


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=80))
def test_folding_keeps_letters_and_digits(text: str) -> None:
    """Letters and digits of scripts that are not folded stand in the result as often as in the text."""
    plain = folded(text).text
    for letter in set(text):
        if letter.isalnum() and unicodedata.normalize("NFKC", letter) == letter and "&" not in text and "<" not in text:
            assert plain.count(letter) >= text.count(letter)


def test_folding_is_linear() -> None:
    hostile = [
        "*" * 200_000,
        "`" * 200_000,
        "&" * 200_000,
        "&amp" * 50_000,
        "\\" * 200_000,
        "<br" * 60_000,
        "_a" * 100_000,
    ]
    for text in hostile:  # what is quadratic does not end here
        assert len(folded(text).text) <= len(text)


def test_a_hint_for_a_long_paragraph_costs_little() -> None:
    document = Document("guide.md", "the model needs about 8 GB of VRAM and more " * 5_000)
    quotes = [Quote(f"the model really needs number {number} of {{}} kinds of memory", SPEC) for number in range(30)]
    assert isinstance(find_quote(document, quotes[0]), Finding)  # what is made once for the document
    assert calls(lambda: [find_quote(document, quote) for quote in quotes]) < 30 * 5_000
