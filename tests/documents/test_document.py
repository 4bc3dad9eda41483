"""Reading a document: bytes to text, lines, places, front matter, headings and sections."""

import os
from pathlib import Path

import pytest

from toolkit.documents.document import LARGEST_DOCUMENT, Document, read_document
from toolkit.documents.sections import find_section
from toolkit.finding import Finding, Place


def read(tmp_path: Path, data: bytes, name: str = "guide.md") -> Document | Finding:
    (tmp_path / name).write_bytes(data)
    return read_document(tmp_path / name, tmp_path)


def refused(result: Document | Finding) -> str:
    assert isinstance(result, Finding)
    assert result.code == "D205"
    return result.message


def test_reads_text_with_its_own_line_ends_and_a_path_relative_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    document = read(tmp_path, "# A\r\nß 12 GB\r\n".encode(), "docs/guide.md")
    assert isinstance(document, Document)
    assert document.path == "docs/guide.md"
    assert document.text == "# A\r\nß 12 GB\r\n"
    assert document.place(7, 12) == Place("docs/guide.md", 2, 3, 2, 8)
    assert document.line_text(2) == "ß 12 GB"


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    document = read(tmp_path, b"\xef\xbb\xbf# A\n")
    assert isinstance(document, Document)
    assert document.text == "# A\n"
    assert [heading.text for heading in document.headings] == ["A"]


def test_lone_carriage_returns_end_lines_but_form_feeds_do_not() -> None:
    document = Document("d", "a\rb\x0cc\u2028d\ne")
    assert [document.line_text(line) for line in (1, 2, 3)] == ["a", "b\x0cc\u2028d", "e"]


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    result = read(tmp_path, b"# A\n\x93 quoted\x94")
    assert refused(result) == "cannot read guide.md: it is not UTF-8: byte 0x93"
    assert result.place == Place("guide.md", 2)


def test_a_missing_file_and_a_folder_are_findings(tmp_path: Path) -> None:
    assert "no such file" in refused(read_document(tmp_path / "none.md", tmp_path))
    assert "not a file" in refused(read_document(tmp_path, tmp_path))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    assert "not a file" in refused(read_document(tmp_path / "pipe.md", tmp_path))


def test_a_document_has_a_largest_size(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, b"a" * LARGEST_DOCUMENT), Document)
    assert "larger than 1 MiB" in refused(read(tmp_path, b"a" * (LARGEST_DOCUMENT + 1)))


def test_links_and_dots_out_of_the_root_are_refused_and_links_inside_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.md").write_text("# S\n")
    (root / "inside.md").write_text("# I\n")
    (root / "out.md").symlink_to(tmp_path / "secret.md")
    (root / "in.md").symlink_to(root / "inside.md")
    (root / "circle.md").symlink_to(root / "circle.md")
    assert "outside the folder" in refused(read_document(root / "out.md", root))
    assert "outside the folder" in refused(read_document(root / ".." / "secret.md", root))
    assert isinstance(read_document(root / "in.md", root), Document)
    refused(read_document(root / "circle.md", root))


def test_control_characters_of_a_path_do_not_reach_the_message(tmp_path: Path) -> None:
    message = refused(read_document(tmp_path / "\x1b[31m\x00.md", tmp_path))
    assert "\\x1b[31m" in message
    assert "\x1b" not in message
    assert "\x00" not in message


def test_headings_have_levels_raw_text_and_sections() -> None:
    text = "intro\n# One\na\n## **Two** `x_y`\nb\n### Three #\nc\n\nFour\n====\nd\n"
    document = Document("d", text)
    found = [(h.level, h.text, h.raw, text[h.start : h.end], text[h.end : h.section_end]) for h in document.headings]
    assert found == [
        (1, "One", "One", "# One\n", "a\n## **Two** `x_y`\nb\n### Three #\nc\n\n"),
        (2, "Two x_y", "**Two** `x_y`", "## **Two** `x_y`\n", "b\n### Three #\nc\n\n"),
        (3, "Three", "Three", "### Three #\n", "c\n\n"),
        (1, "Four", "Four", "Four\n====\n", "d\n"),
    ]
    assert [heading.path for heading in document.headings] == [(), ("One",), ("One", "Two x_y"), ()]


@pytest.mark.parametrize(
    "text",
    [
        "```\n# no\n```\n",
        "    # no\n",
        "<!--\n# no\n-->\n",
        "- # no\n",
        "> # no\n",
        "#no\n",
        "\\# no\n",
        "####### no\n",
    ],
)
def test_what_opens_no_section(text: str) -> None:
    assert Document("d", text).headings == ()


def test_front_matter_is_skipped_but_can_be_named() -> None:
    text = "---\ntitle: GPU\n# comment\n---\n# One\ntext\n"
    document = Document("d", text)
    assert [heading.text for heading in document.headings] == ["One"]
    assert text[slice(*find_section(document, "---"))] == "---\ntitle: GPU\n# comment\n---\n"
    assert document.place(document.headings[0].start).line == 5


@pytest.mark.parametrize(
    "text", ["---\n\n# A\n\n---\n", "---\ntext\n---\n", "---\ntitle: x\n# A\n", "# A\n---\nk: v\n---\n"]
)
def test_rules_at_the_top_are_not_front_matter(text: str) -> None:
    document = Document("d", text)
    assert document.body == 0


def test_a_section_is_named_by_a_path_when_its_heading_stands_several_times() -> None:
    text = "# A\n## Memory\n1\n# B\n## Deep\n### Memory\n2\n# C > D\n3\n"
    document = Document("d", text)
    assert text[slice(*find_section(document, "A > Memory"))] == "## Memory\n1\n"
    assert text[slice(*find_section(document, "B > Memory"))] == "### Memory\n2\n"
    assert text[slice(*find_section(document, "B > Deep > Memory"))] == "### Memory\n2\n"
    assert text[slice(*find_section(document, "C > D"))] == "# C > D\n3\n"
    several = find_section(document, "Memory")
    assert isinstance(several, Finding)
    assert several.code == "D206"
    assert several.message == 'd has 2 headings "Memory": line 2, line 6'
    assert several.repair == 'Write the path to it: `under: "A > Memory"`, `under: "B > Deep > Memory"`.'


def test_headings_that_no_path_tells_apart() -> None:
    several = find_section(Document("d", "# A\n## M\n## M\n"), "A > M")
    assert isinstance(several, Finding)
    assert "quote more of the sentence" in str(several.repair)


def test_an_unknown_heading_is_answered_with_the_nearest_or_the_known() -> None:
    document = Document("d", "# 3.1 Parameters (FP32)\n# Overhead\n")
    near = find_section(document, "3.1 Parameter (FP32)")
    assert isinstance(near, Finding)
    assert near.message == 'd has no heading "3.1 Parameter (FP32)"; nearest: "3.1 Parameters (FP32)"'
    assert near.repair == 'Write `under: "3.1 Parameters (FP32)"`.'
    far = find_section(document, "zzz")
    assert isinstance(far, Finding)
    assert far.message == 'd has no heading "zzz"; headings: "3.1 Parameters (FP32)", "Overhead"'
    none = find_section(Document("d", "text\n"), "zzz")
    assert isinstance(none, Finding)
    assert none.message == 'd has no heading "zzz"'


def test_headings_are_compared_as_a_reader_sees_them() -> None:
    text = "## ✔️ **FP32**   `Total`\ntext\n"
    document = Document("d", text)
    for under in ("✔ FP32 Total", "✔️ **FP32** `Total`", "  ✔ FP32  Total "):
        assert find_section(document, under) == (0, len(text))
