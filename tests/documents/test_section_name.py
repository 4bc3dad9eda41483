"""How a section is named for a quote that stands in it."""

import pytest

from toolkit.documents.document import Document
from toolkit.documents.sections import find_section, section_name

TEXT = """---
title: x
---
before
# Guide
intro
## Full
### Memory
a
## LoRA
### Memory
b
### Only
c
"""


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("title", "---"),
        ("before", None),
        ("intro", "Guide"),
        ("a\n## LoRA\n### Memory\nb", "Guide"),
        ("a\n", "Guide > Full > Memory"),
        ("b\n### Only\nc", "LoRA"),
        ("c\n", "Only"),
    ],
)
def test_the_innermost_section_is_named_so_that_it_is_found(words: str, name: str | None) -> None:
    document = Document("guide.md", TEXT)
    start = TEXT.index(words, TEXT.index("intro") + 5) if words in {"a\n", "b\n", "c\n"} else TEXT.index(words)
    assert section_name(document, start, start + len(words)) == name
    if name is not None:
        found = find_section(document, name)
        assert isinstance(found, tuple)
        assert found[0] <= start
        assert start + len(words) <= found[1]


def test_two_sections_of_one_name_have_none() -> None:
    text = "# A\n## B\nx\n## B\ny\n"
    assert section_name(Document("guide.md", text), text.index("y"), text.index("y") + 1) is None
