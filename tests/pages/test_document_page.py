"""Marks stand at the claimed words, whatever Markdown is around them, and change nothing else of the document."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pages.build import GOLDEN, page, pages_of, write_spec

pytest.importorskip("jinja2", reason="pages need jinja2")

from toolkit.pages.anchors import ANCHOR, anchored
from toolkit.pages.markdown import blocks, parser
from toolkit.pages.marks import ClaimView, Mark
from toolkit.pages.weave import woven

CLAIM = ClaimView(1, "x", "quality", "", "agrees", False, "", ())


def marked(html: str) -> dict[str, str]:
    """The words of every mark by its number: a mark may be cut in pieces by the tags within it."""
    words: dict[str, str] = {}
    for element in page(html).all("vt-mark"):
        words[element.attributes["data-mark"]] = words.get(element.attributes["data-mark"], "") + element.text
    return words


def test_marks_stand_at_the_claimed_words() -> None:
    shown = pages_of(GOLDEN / "small")["documents/small.md"].decode()
    assert list(marked(shown).values()) == [
        "1.1 billion × 2 bytes = 2.2 GB",
        "2.2 GB",
        "3 + 4 = 8",
        "2 + 2 = 5",
        "2.2 GB",
        "1 + 1 = 3 GB",
        "5 + 5 = 10",
        "6 + 6 = 13",
        "7 + 7 = 14",
        "1,100,048,384",
        "quick.",
    ]


def test_verdict_is_told_by_colour_shape_and_word() -> None:
    buttons = page(pages_of(GOLDEN / "small")["documents/small.md"].decode()).all("vt-flag")
    told = {(one.attributes["class"].removeprefix("vt-flag "), one.text) for one in buttons}
    assert told >= {
        ("vt-agrees", "✓ agrees"),
        ("vt-disagrees", "✗ disagrees"),
        ("vt-disagrees vt-known", "✗ disagrees, known"),
        ("vt-unchecked", "? unchecked (2)"),
    }


def test_claims_at_one_value_share_a_mark_and_are_all_told() -> None:
    shown = page(pages_of(GOLDEN / "small")["documents/small.md"].decode())
    shared = next(one for one in shown.all("vt-flag") if "(2)" in one.text)
    told = next(one for one in shown.elements if one.attributes.get("id") == shared.attributes["popovertarget"])
    assert "weights of load" in told.text
    assert "said twice about one cell" in told.text


def test_acknowledged_error_says_why_it_is_known() -> None:
    told = page(pages_of(GOLDEN / "small")["documents/small.md"].decode()).all("vt-claim")
    assert any("disagrees, known" in one.text and "a made-up error" in one.text for one in told)


def test_no_button_stands_in_a_link() -> None:
    shown = page(pages_of(GOLDEN / "small")["documents/small.md"].decode())
    links = [one for one in shown.elements if one.tag == "a"]
    assert any("7 + 7 = 14" in one.text for one in links)
    assert not any("agrees" in one.text for one in links)


def test_headings_are_headings_of_the_site() -> None:
    lines = pages_of(GOLDEN / "small")["documents/small.md"].decode().split("\n")
    headings = [line for line in lines if line.startswith("#")]
    assert [re.sub(r"[^#].*\{(#[^ }]+).*", r" \1", line) for line in headings[1:]] == [
        "## #in-what-a-small-model-needs",
        "### #in-heading-with-2--2--5",
        "## #all-claims",
    ]


def test_mark_that_would_change_the_document_is_only_listed(tmp_path: Path) -> None:
    """Inside of an address no mark can stand; the list still has the claim."""
    claims = '  - {quantity: quality, quote: "](https://a.example/{part})", unchecked: "no words"}\n'
    folder = write_spec(tmp_path / "one", "An [address](https://a.example/part).\n", claims)
    shown = pages_of(folder)["documents/one.md"].decode()
    assert marked(shown) == {}
    assert 'href="https://a.example/part"' in shown
    assert "<td>1</td>" in shown


PIECES = st.sampled_from(
    (
        *("**", "*", "_", "`", "~~", "|", "\n", "\n\n", "- ", "1. ", "# ", "> ", "```\n", "[a](b)", "<b>", "</b>"),
        *("<!--", "-->", "|-|-|\n", "\\", "&amp;", "![i](j)", "1 + 1 = 3", "word", " ", "    ", "---\n", "===\n"),
        *("\U000f0001", "~"),
    )
)


@given(st.lists(PIECES, max_size=30).map("".join), st.data())
def test_marks_change_nothing_that_is_read(text: str, data: st.DataObject) -> None:
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted)
    spans = data.draw(st.lists(ends, max_size=6))
    marks = [Mark(number, start, end, (CLAIM,)) for number, (start, end) in enumerate(spans, 1)]
    with_marks = "".join(
        woven(block.html, {mark.number: mark for mark in marks}, set())
        for block in blocks(anchored(text, marks, parser()))
    )
    without = "".join(block.html for block in blocks(parser().parse(ANCHOR.sub("\ufffd", text))))
    bare = page(re.sub(r'<button class="vt-flag.*?</button>', "", with_marks))
    read = page(without)
    assert bare.text == read.text
    assert [one.tag for one in bare.elements if "vt-mark" not in one.attributes.get("class", "")] == [
        one.tag for one in read.elements
    ]
    assert with_marks.count("<span") == with_marks.count("</span>")


@given(st.text(alphabet="ab 12=+", min_size=1, max_size=40), st.data())
def test_mark_in_plain_words_is_exact(text: str, data: st.DataObject) -> None:
    """In a paragraph of words and sums nothing is hidden, so that each mark has the words between its ends."""
    text = f"x{text}x"
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    mark = Mark(1, start, end, (CLAIM,))
    shown = "".join(woven(block.html, {1: mark}, set()) for block in blocks(anchored(text, [mark], parser())))
    assert marked(shown) == {"1": text[start:end]}
