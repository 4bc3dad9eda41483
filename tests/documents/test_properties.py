"""Properties of quotes in documents of any content."""

from __future__ import annotations

import re
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.documents.build import SPEC
from toolkit.documents.cells import find_cell
from toolkit.documents.document import Document
from toolkit.documents.match import Match, find_matches
from toolkit.documents.matching import LONGEST_SLOT
from toolkit.documents.pattern import Pattern, SlotKind, make_pattern
from toolkit.documents.quotes import find_quote
from toolkit.finding import Finding, printable
from toolkit.spec.quote import Cell, Quote, TableRef

words = st.sampled_from(
    ["memory", "needs", "the", "GB", "12", "~94", "**28", "16**", "(4-bit", "q_proj", "显存", "`a|b`", "{x}"]
)
prose = st.lists(words, min_size=1, max_size=12).map(" ".join)
wrapped = st.lists(words, min_size=1, max_size=12).flatmap(
    lambda found: st.lists(st.sampled_from([" ", "\n", "  ", "\t"]), min_size=len(found), max_size=len(found)).map(
        lambda gaps: "".join(word + gap for word, gap in zip(found, gaps, strict=True)).rstrip()
    )
)
blocks = st.one_of(
    wrapped,
    prose.map("# {}".format),
    prose.map("- {}\n- x".format),
    wrapped.map(lambda text: "> " + text.replace("\n", "\n> ")),
    prose.map("```\n{}\n```".format),
    st.lists(prose, min_size=2, max_size=2).map(
        lambda cells: "| A | B |\n|---|---|\n| {} | {} |".format(*(cell.replace("|", "/") for cell in cells))
    ),
)
texts = st.tuples(st.lists(blocks, min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"])).map(
    lambda parts: "\n\n".join(parts[0]).replace("\n", parts[1])
)
noise = st.text(st.sampled_from("ab12 .,|*`>#-\n\r\t{}[]()~_\\:\x00\u2028\ufeff显é"), max_size=120)


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def find(document: Document, quote: str, occurrence: int | None = None) -> Match | Finding:
    return find_quote(document, Quote(quote, SPEC, None, occurrence))


@given(texts, st.data())
def test_a_quote_cut_from_a_document_is_found_there_or_is_ambiguous(text: str, data: st.DataObject) -> None:
    document = Document("d", text)
    tokens = list(re.finditer(r"\S+", document.unquoted))
    first = data.draw(st.integers(0, len(tokens) - 1))
    last = data.draw(st.integers(first, min(first + 15, len(tokens) - 1)))
    gaps = data.draw(
        st.lists(st.sampled_from([" ", "\n", "\r\n ", "\t "]), min_size=last - first, max_size=last - first)
    )
    run = [token.group() for token in tokens[first : last + 1]]
    quote = escaped("".join(a + b for a, b in zip(run, [*gaps, ""], strict=True)))
    span = (tokens[first].start(), tokens[last].end())
    result = find(document, quote)
    if isinstance(result, Match):
        assert (result.start, result.end) == span
    else:
        assert result.code == "D202"
        starts = []
        while isinstance(match := find(document, quote, len(starts) + 1), Match):
            starts.append(match.start)
        assert len(starts) > 1
        assert span[0] in starts


@given(texts, texts, texts, st.data())
def test_moving_other_text_never_loses_a_quote(text: str, before: str, after: str, data: st.DataObject) -> None:
    sentence = data.draw(
        st.sampled_from(["zone takes **{}** of space", "zone takes {*} of {}", "{} zone takes", "zone takes {}"])
    )
    statement = "Our zone takes **31 GB** of space"
    alone = find(Document("d", statement), sentence)
    moved = find(Document("d", f"{before}\n\n{text}\n\n{statement}\n\n{after}\n"), sentence)
    assert isinstance(alone, Match)
    assert isinstance(moved, Match), moved
    assert [slot.text for slot in moved.slots] == [slot.text for slot in alone.slots]


@given(texts, st.data(), st.sampled_from(["64 GB", "~1.5–2", "nothing at all"]))
def test_another_value_in_a_slot_binds_at_the_same_place(text: str, data: st.DataObject, value: str) -> None:
    statement = "Our zone takes **31 GB** of space, zebra"
    whole = f"{text}\n\n{statement}\n\n{text}"
    quote = data.draw(st.sampled_from(["zone takes **{}** of", "{*} takes **{}** {*} zebra", "takes **{}** of space"]))
    old = find(Document("d", whole), quote)
    assert isinstance(old, Match)
    slot = old.slots[0]
    assert whole[slot.start : slot.end] == "31 GB"
    new = find(Document("d", whole[: slot.start] + value + whole[slot.end :]), quote)
    assert isinstance(new, Match)
    assert (new.start, new.slots[0].start, new.slots[0].text) == (old.start, slot.start, value)


@given(noise, noise, noise)
@settings(max_examples=300)
def test_no_text_raises_and_messages_are_printable(text: str, quote: str, under: str) -> None:
    document = Document("d", text)
    results: list[Match | Finding] = [
        find(document, quote),
        find(document, quote, 2),
        find_quote(document, Quote(quote, SPEC, under or None)),
        find_cell(document, Cell(TableRef(None, None, SPEC), quote, under, SPEC)),
    ]
    for result in results:
        if isinstance(result, Finding):
            assert result.message == printable(result.message)
            assert len(result.message) < 2000
        else:
            assert 0 <= result.start < result.end <= len(text)
            for slot in result.slots:
                assert result.start <= slot.start < slot.end <= result.end


@given(noise)
def test_positions_and_offsets_are_inverse(text: str) -> None:
    document = Document("d", text)
    for offset in range(len(text) + 1):
        line, column = document.position(offset)
        assert document.offset(line, column) == offset
        assert document.place(offset).line == line
    assert "".join(text[slice(*document.lines.span(line))] for line in range(len(document.lines))) == re.sub(
        r"[\r\n]", "", text
    )


@given(noise)
def test_the_normal_form_keeps_every_character_in_its_place(text: str) -> None:
    document = Document("d", text)
    index = document.index
    assert index.text == " ".join(document.unquoted.split())
    for spot, character in enumerate(index.text):
        if character != " ":
            assert text[index.offset(spot)] == character
            assert index.spot(index.offset(spot)) == spot


def every_placement(document: Document, pattern: Pattern) -> list[tuple[int, ...]]:
    """All placements of a pattern without slots at its ends, by trying every combination."""
    text = document.index.text
    low, high = document.index.spot(document.body), len(text)
    spots = [
        [
            spot
            for spot in range(low, high)
            if text.startswith(literal.text, spot) and whole(text, pattern, number, spot)
        ]
        for number, literal in enumerate(pattern.literals)
    ]
    return [
        chain
        for chain in product(*spots)
        if all(minimal(document, pattern, spots, chain, gap) for gap in range(len(chain) - 1))
    ]


def whole(text: str, pattern: Pattern, number: int, spot: int) -> bool:
    end = spot + len(pattern.literals[number].text)
    inside = re.compile(r"(?<=[^\W_显])(?=[^\W_显])|(?<=\d)(?=[.,]\d)|(?<=\d[.,])(?=\d)")
    breaks = {match.start() for match in inside.finditer(text)}
    return not (number == 0 and spot in breaks) and not (number == len(pattern.literals) - 1 and end in breaks)


def minimal(document: Document, pattern: Pattern, spots: list[list[int]], chain: tuple[int, ...], gap: int) -> bool:
    text = document.index.text
    least = 1 if pattern.gaps[gap] is SlotKind.VALUE else 0
    size = len(pattern.literals[gap].text)
    pairs = [(a, b) for a in spots[gap] for b in spots[gap + 1] if least <= b - a - size <= LONGEST_SLOT]
    left, right = chain[gap], chain[gap + 1]
    if (left, right) not in pairs or any(a >= left and b <= right and (a, b) != (left, right) for a, b in pairs):
        return False
    start, end = left + size, right
    held = text[start:end]
    if least and not held.strip():
        return False
    if held and any(a.isdigit() and b.isdigit() for a, b in ((text[start - 1], held[0]), (held[-1], text[end]))):
        return False
    wide = (start - (text[start - 1] == " "), end + (text[end] == " "))
    return not any(wide[0] <= barrier < wide[1] for barrier in document.index.barriers)


pieces = st.sampled_from(["a", "a ", " a", " a ", "ab", "a b ", "1", " 1 a", "显", ".", "a.", "|", " "])
kinds = st.sampled_from([["{}"], ["{*}"], ["{*}", "{}"], ["{}", "{*}"]])


@given(st.lists(pieces, min_size=3, max_size=3), kinds, st.data())
@settings(max_examples=600)
def test_the_index_finds_what_trying_everything_finds(
    literals: list[str], slots: list[str], data: st.DataObject
) -> None:
    literals = literals[: len(slots) + 1]
    parts = st.sampled_from([*literals, *literals, *literals, " x ", " ", "7", "\n\n", "- "])
    text = "".join(data.draw(st.lists(parts, max_size=16)))
    document = Document("d", text)
    pattern = make_pattern("".join(a + b for a, b in zip(literals, [*slots, ""], strict=True)))
    if not isinstance(pattern, Pattern) or pattern.leading or pattern.trailing:
        return
    expected = every_placement(document, pattern)
    matches = find_matches(document, pattern, (document.body, len(text)), 10_000)
    assert [match.start for match in matches] == [document.index.offset(chain[0]) for chain in expected]
