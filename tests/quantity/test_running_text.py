"""Values in sentences, tables and code: which are found, which are not, and where."""

from __future__ import annotations

import pytest

from toolkit.quantity import find_values, parse_value

NO_VALUE = [
    # Versions, dates, times, ratios, lists, decimal commas, leading zeros.
    *(
        "3.12.3",
        "2025.11.1",
        "trl==0.19.0",
        "2.8.0+cu128",
        "v0.3",
        "2025-11-05",
        "11/05/2025",
        "12:30",
        "1:4",
    ),
    *("1,2", "1,5 GB", "512,1024", "1,2,3,4", "1,1,1,1", "12,34,567", "007", "1-1-1-1", "1.2.3-4"),
    # Parts of names.
    *(
        "Qwen2.5-Coder-7B",
        "Llama-2-13b-chat",
        "gpt-oss-20b",
        "A100",
        "FP16",
        "NF4",
        "Mxfp4Config",
        "q4_0",
        "8x22B",
    ),
    *("RTX 4090s", "the 1990s", "max_length_512", "recall@10", "C++17", "#123", "arxiv.org/abs/2305"),
    # Compounds, units that are not read, ambiguous letters.
    *(
        "4-bit",
        "8-bit to 16-bit",
        "13-layer",
        "350W",
        "350 W",
        "2.5 GHz",
        "8 Gb",
        "8 bit",
        "24G",
        "24 G",
        "7 B",
        "3 M",
    ),
    *("900 GB/s", "900 GB per second", "25 EUR", "€25", "A$5", "$~5", "€ 25"),
    # Falling pairs, contradicting bounds, tolerances, footnotes, formulas, what is struck out.
    *("30-5", "16-8 GB", "up to 8GB+", "8 ± 2", "±5%", "94¹", "10^", "10^^9", "$10^9$", "~~5 GB~~"),
    # Hostile sizes.
    *("9" * 41, "1" * 5000, "1e999", "10^100", "99999^9", "1e", "9" * 40 + "." + "9" * 41),
    # Numbers of list items and headings.
    *("1. Setup", "2) Train", "### 3.1 Parameters", "text\n  3. More"),
    *("", " ", "**", "no digits", "$", "%", "~", "GB", "١٢ GB", "１６ＧＢ"),
]


@pytest.mark.parametrize("text", NO_VALUE)
def test_no_value_rather_than_a_wrong_one(text: str) -> None:
    assert find_values(text) == []
    assert parse_value(text) is None


FOUND = [
    ("needs **~94 GB** of VRAM", ["~94 GB"]),
    ("NVIDIA RTX 4070 Ti SUPER (16GB VRAM, 15.58GB available)", ["16GB", "15.58GB"]),
    ("QLoRA configured: 7.96M trainable parameters (0.07% of 11B total)", ["7.96M", "0.07%", "11B"]),
    ("**28 + 28 + 56 + 8 + 4 = ~124 GB VRAM**", ["28", "28", "56", "8", "4", "~124 GB"]),
    ("4.16 GiB + 3–6 GiB = ~8–12 GiB", ["4.16 GiB", "3–6 GiB", "~8–12 GiB"]),
    ("28+28+56=112 GB", ["28", "28", "56", "112 GB"]),
    ("(2 per device × 4 grad accumulation)", ["2", "4"]),
    ("320 x 3 = 960, 2× 4 = 8, 2 ×4", ["320", "3", "960", "2", "4", "8", "2", "4"]),
    ("(0.5B × 2) + 0.5GB = 1.5GB", ["0.5B", "2", "0.5GB", "1.5GB"]),
    ("280,000,000 × 4 = 1,120,000,000 bytes", ["280,000,000", "4", "1,120,000,000 bytes"]),
    ("FP16 = 16 bits = 2 bytes", ["16 bits", "2 bytes"]),
    ("7.96M / 11B, 7.96M/11B, A100 40GB/80GB", ["7.96M", "11B", "7.96M", "11B", "40GB", "80GB"]),
    ("960/8 = 120 steps", ["960", "8", "120"]),
    ("trl 0.23.0 → 0.19.0 in 2-3 hours", ["2-3 hours"]),
    ("24-30 hours → 8-10 hours (3x speedup)", ["24-30 hours", "8-10 hours", "3x"]),
    ("34B -> 13B, 25GB => 14GB", ["34B", "13B", "25GB", "14GB"]),
    ("shrinks from 40 GB to 80 GB, from 80 GB to 40 GB", ["40 GB", "80 GB", "80 GB", "40 GB"]),
    ("from 8 to 16 GB", ["8 to 16 GB"]),
    ("$1.50-2.00/hour × 10 hours = $20-30 per training", ["$1.50-2.00/hour", "10 hours", "$20-30"]),
    ("$4/hour × 30 = $120; $23,000+ initial", ["$4/hour", "30", "$120", "$23,000+"]),
    ("Dequantization required >16GB VRAM", [">16GB"]),
    ("+50-100 MB | +0 MB | GTX 1650+ (4GB)", ["+50-100 MB", "+0 MB", "1650+", "4GB"]),
    ("seq=512, lr=2e-4, rank: 16", ["512", "2e-4", "16"]),
    ("torch.cuda.mem_get_info()[0] / 1024**3  # GB", ["0", "1024**3"]),
    ("a 7B-parameter model on an 80-GB card in a 5-minute run", ["7B", "80-GB", "5-minute"]),
    ("trained over 3 epochs, over 3 GB", ["3", "over 3 GB"]),
    ("between 3 GB and a lot", ["3 GB"]),
    ("5 - 3 = 2 and 8 -4", ["5", "3", "2", "8", "-4"]),
    ("x (5)-3", ["5", "3"]),
    ("1 - 2 - 3 GB", ["1", "2", "3 GB"]),
    ("94 GB ± 5%", ["94 GB"]),
    ("- 1 - 2 GB\n- 3 – 4 GB", ["1 - 2 GB", "3 – 4 GB"]),
    ("**FP16** ~2.0 GB\\\n8 GB", ["~2.0 GB", "8 GB"]),
    ("需要16GB显存，约24GB", ["16GB", "24GB"]),
    ("<td>5</td><td>6 GB</td> 5<br>6", ["5", "6 GB", "5", "6"]),
    ("- 5 GB\n- 6 GB\n* 7 GB", ["5 GB", "6 GB", "7 GB"]),
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_values_in_running_text(text: str, expected: list[str]) -> None:
    assert [value.text for value in find_values(text)] == expected


def test_the_slices_of_a_value_are_its_text() -> None:
    text = "It is ≈ **8 GB** (`~0.25` GB), **up to** 16&nbsp;GB"
    values = find_values(text)
    assert [text[value.start : value.end] for value in values] == [value.text for value in values]
    # Emphasis that opens or closes inside a value is whole in its text.
    assert [value.text for value in values] == ["≈ **8 GB**", "`~0.25` GB", "**up to** 16&nbsp;GB"]


WRAPPED = [
    ("needs about\n94 GB", ["about\n94 GB"]),
    ("needs ~94\nGB of memory", ["~94\nGB"]),
    ("needs ~94\n\nGB of memory", ["~94"]),
    ("at least\n\n94 GB", ["94 GB"]),
    ("from 8\nto 16 GB", ["8\nto 16 GB"]),
    ("8\n\nto 16 GB", ["8", "16 GB"]),
    # A one-letter unit on the next line is as likely the beginning of something else.
    ("Batch 5\nh is the height", ["5"]),
    # A quotation is not "more than"; at the beginning of a text it is.
    ("as they say\n> 16 GB is enough", ["16 GB"]),
    ("> 16 GB", ["> 16 GB"]),
    ("memory\n>16 GB", [">16 GB"]),
]


@pytest.mark.parametrize(("text", "expected"), WRAPPED)
def test_values_over_a_line_end(text: str, expected: list[str]) -> None:
    assert [value.text for value in find_values(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "~94 GB VRAM",
        "94 GB 95 GB",
        "GTX 1650+ (4GB)",
        "is 94 GB",
        "7B-parameter",
        "8 GB (QLoRA)",
        "94 GB.",
        "320 a b c d e",
    ],
)
def test_a_text_with_more_than_a_value_is_none(text: str) -> None:
    assert find_values(text)
    assert parse_value(text) is None


@pytest.mark.parametrize(
    "text", ["**94 GB**", " *94 GB* ", "`94 GB`", "__94 GB__", "<b>94 GB</b>", "***94 GB***\n", "**`94` GB**"]
)
def test_emphasis_and_space_around_a_value_are_ignored(text: str) -> None:
    value = parse_value(text)
    assert value is not None
    assert text[value.start : value.end] == value.text
    assert value.text.strip("`").replace("`", "") == "94 GB"
