"""Quotes: where they stand and what their slots hold."""

import pytest

from tests.documents.build import found, refused, slot
from toolkit.documents.document import Document

MEMORY = """\
# Plan

## A. Full

7B params × 4 bytes
= **28 GB**

Needs 12 GB, needs 16 GB of VRAM.

- Sequence length: **512**
- Training: 320 examples (80%)
  - Validation: 80 examples (20%)
1. Batch size: small (for 16–24GB cards)

## B. QLoRA

≈ **3.5 GB** (rounded to **~4 GB** with overhead)

> “A full fine-tune would require ~124GB VRAM.
> With QLoRA, we come
> down to ~12–16GB.”

| Method | VRAM | Fits |
|--------|:----:|------|
| Full   | ~124 GB | no |
| QLoRA  | ~12 GB (*4* GB weights) | yes |

```bash
# load
pip install trl==0.19.0  # older

✅ Model loaded: 11.67GB
```
"""


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("× 4 bytes = **{}**", "28 GB"),
        ("× {} bytes", "4"),
        ("needs {} of VRAM", "16 GB"),
        ("rounded to **{about 4}** with", "~4 GB"),
        ("≈ **{}** (rounded", "3.5 GB"),
        ("Sequence length: **{}**", "512"),
        ("Sequence length: {}", "**512**"),
        ("{} params", "7B"),
        ("{} examples (20%)", "Validation: 80"),
        ("Validation: {} examples", "80"),
        ("Training: {} examples ({*}%)", "320"),
        ("Training: {*} examples ({}%)", "80"),
        ("{} small (for {*}", "Batch size:"),
        ("Batch size: small (for {} cards)", "16–24GB"),
        ("would require {} VRAM", "~124GB"),
        ("we come down to {}.”", "~12–16GB"),
        ("we {} to", "come down"),
        ("would require {}", "~124GB VRAM."),
        ("| QLoRA | {} (", "~12 GB"),
        ("| QLoRA | {} |", "~12 GB (*4* GB weights)"),
        ("| QLoRA | ~12 {}", "GB (*4* GB weights)"),
        ("{} (*4* GB", "~12 GB"),
        ("| Full | {*} | {}", "no"),
        ("pip install trl=={} #", "0.19.0"),
        ("Model loaded: {}", "11.67GB"),
        ("{} load", "#"),
    ],
)
def test_a_slot_holds_the_shortest_text_between_its_neighbours(quote: str, value: str) -> None:
    assert slot(MEMORY, quote) == value


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_positions_are_those_of_the_file(line_end: str) -> None:
    text = MEMORY.replace("\n", line_end)
    match = found(text, "7B params × 4 bytes = **{}**")
    document = Document("guide.md", text)
    assert str(document.place(match.slots[0].start)) == "guide.md:6:5"
    assert str(document.place(match.start)) == "guide.md:5:1"
    assert match.quote_text == "7B params × 4 bytes = **28 GB**"


def test_white_space_and_block_quote_markers_are_single_spaces_and_nothing_else_is() -> None:
    text = "> needs\t  **8\n>   GB** of\n> VRAM\n"
    assert slot(text, "needs **{}** of\n  VRAM\n") == "8 GB"
    assert slot(text, "> needs **{}** of\n> VRAM") == "8 GB"
    assert refused(text, "needs {} of vram").code == "D201"
    assert refused(text, "needs **8 GB** ofVRAM").code == "D201"
    assert refused(text, "needs 8 GB of VRAM").code == "D201"


def test_a_marker_is_part_of_a_quote_where_it_is_no_marker() -> None:
    assert slot("MXFP4: >16GB (dequantized)", ">{} (dequantized") == "16GB"
    assert refused("MXFP4: 16GB (dequantized)", ">{} (dequantized").code == "D201"
    assert slot("```\n> run 4 GB\n> stop\n```\n", "run {} GB > stop") == "4"


def test_under_and_occurrence_tell_places_apart() -> None:
    text = "# A\nx **1 GB**\n\n# B\nx **2 GB**\n## C\nx **3 GB**\n"
    assert slot(text, "x **{}**", "A") == "1 GB"
    assert slot(text, "x **{}**", "B", 2) == "3 GB"
    assert slot(text, "x **{}**", "B > C") == "3 GB"
    assert [slot(text, "x **{}**", None, number) for number in (1, 2, 3)] == ["1 GB", "2 GB", "3 GB"]


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("needs\n\n8 GB of", "needs {} of"),
        ("- needs\n- 8 GB of", "needs {} of"),
        ("needs 8\n# GB\nof", "needs {} of"),
        ("needs 8\n> GB of", "needs {} of"),
        ("|a|b|\n|-|-|\n|needs|8 of|\n", "needs{}of"),
        ("|a|b|\n|-|-|\n|x|needs 8|\n|of|y|\n", "needs {} of"),
        ("a|b\n-|-\nx|needs 8\nof|y\n", "needs {} of"),
        ("```\nneeds\n\n8 of\n```\n", "needs {} of"),
        ("needs\n\n8 GB", "needs {}"),
        ("needs\n\n8 GB", "{} 8 GB"),
        ("|a|b|\n|-|-|\n|needs |8|\n", "needs {}"),
        ("needs of", "needs {} of"),
        ("needs", "needs {}"),
        (f"needs {'x ' * 101} of", "needs {} of"),
    ],
)
def test_a_slot_stays_in_its_block_and_cell_and_holds_something(text: str, quote: str) -> None:
    assert refused(text, quote).code == "D201"
    assert refused(text, quote.replace("{}", "{*}") + " zzz").code == "D201"


def test_a_slot_of_any_text_may_be_empty() -> None:
    assert found("needs about 8 GB", "needs{*}about 8{*}").quote_text == "needs about 8 GB"
    assert found("needs 8", "needs 8{*}").quote_text == "needs 8"


def test_words_of_a_quote_may_span_blocks() -> None:
    assert slot("### Total\n\n**12 GB**\n", "Total **{}**") == "12 GB"
    assert slot("- m (4 bytes)\n- v (4 bytes)\n\n7B × {8} bytes", "v (4 bytes) 7B × {{{}}} bytes") == "8"


def test_a_slot_at_an_end_is_cut_at_two_hundred_characters() -> None:
    assert slot(f"needs {'x' * 300}", "needs {}") == "x" * 200
    assert slot(f"{'x' * 300} needs", "{} needs") == "x" * 200


def test_a_slot_at_the_beginning_leaves_out_the_markers_of_its_line() -> None:
    for markers in ("- ", "12. ", "> ", "> - ", "## ", "- [x] ", "  * "):
        assert slot(f"before\n\n{markers}8 GB needed\n", "{} needed") == "8 GB"
    assert slot("```\n- 8 GB needed\n```", "{} needed") == "- 8 GB"


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("batch size 80", "batch size 8"),
        ("batch size 8.5", "batch size 8"),
        ("batch size 8,000", "batch size 8"),
        ("2.8 GB", "8 GB"),
        ("28 GB", "8 GB"),
        ("trl 0.19.0", "trl 0.19"),
        ("12 GBit/s", "{} GB"),
        ("Überlänge 8", "länge {}"),
        ("size 12", "size 1{}"),
        ("12 GB", "{}2 GB"),
        ("a 12 GB", "a {*}2 GB"),
    ],
)
def test_a_quote_neither_begins_nor_ends_inside_a_word_or_a_number(text: str, quote: str) -> None:
    assert refused(text, quote).code == "D201"


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("batch size 8.", "batch size 8"),
        ("batch size 8, then", "batch size 8"),
        ("_8 GB_", "8 GB"),
        ("needs12GB", "needs{}GB"),
        ("需要28GB显存", "28GB"),
        ("我们需要28GB显存才能", "需要{}显存"),
        ("~12GB", "{}GB"),
    ],
)
def test_where_a_quote_may_begin_and_end(text: str, quote: str) -> None:
    found(text, quote)


def test_a_shorter_pair_hides_a_longer_one() -> None:
    assert slot("a 1 a 2 b 3 b", "a {} b") == "2"
    assert slot("GB 12 GBit, 8 GB now 9 GB", "GBit, {} GB now {*} GB") == "8"


def test_braces_of_the_document_are_written_twice() -> None:
    assert slot("f'{x} needs {8} GB'", "{{x}} needs {{{}}} GB") == "8"


def test_front_matter_is_found_only_when_it_is_named() -> None:
    text = "---\nmemory: 8 GB\n---\n# A\ntext\n"
    assert slot(text, "memory: {}", "---") == "8 GB"
    assert 'it stands in the front matter at 2:1: write `under: "---"`' in refused(text, "memory: {}").message
