"""Amounts in the forms of other languages and habits; expected by reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.scan.scanned import ends, found
from toolkit.documents.scan.mend import origin, read_through


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Needs 14,5 Go of VRAM.", "Needs 14.5 GB of VRAM."),
        ("7 Milliarden Parameter", "7B Parameter"),
        ("13 mil millones de parámetros", "13B de parámetros"),
        ("70億パラメータ", "7Bパラメータ"),
        ("390万参数", "3.9M参数"),
        ("78亿元", "78亿元"),
        ("8x80GB", "8x 80GB"),
        ("16/24GB cards", "16GB/24GB cards"),
        ("one A100 80G", "one A100 80GB"),
        ("two A100-80G", "two A100 80GB"),
        ("x-A100-80GB-y", "x-A100-80GB-y"),
        ("12Gb of VRAM", "12GB of VRAM"),
        ("12 or 16 GB cards", "12GB or 16 GB cards"),
        ("显存从 16G 降到 6.3G", "显存从 16GB 降到 6.3GB"),
        ("VRAM 7823M", "VRAM 7823MB"),
        ("trainable%: 0.0622", "trainable%: 0.0622%"),
        ("18 bis 20 GB", "18–20 GB"),
        ("the 5G network", "the 5G network"),
        ("1.5G tokens on a GPU", "1.5G tokens on a GPU"),
        ("0.5 GB, 14,5 GB", "0.5 GB, 14,5 GB"),
    ],
)
def test_read_as_it_was_meant(text: str, expected: str) -> None:
    assert read_through(text)[0] == expected


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("Mindestens 24 GB VRAM.", "24", None),
        ("VRAM: al menos 12 GB.", "12", None),
        ("显存至少24GB。", "24", None),
        ("24GB以上のVRAM", "24", None),
        ("VRAM: bis zu 5 GB.", None, "5"),
        ("显存不超过8GB。", None, "8"),
        ("8GB以下のVRAM", None, "8"),
    ],
)
def test_bounds_of_other_languages(text: str, low: str | None, high: str | None) -> None:
    [(bottom, top, _, _)] = ends(text)
    assert (bottom, top) == (low, high)


def test_what_was_read_otherwise_is_shown_as_it_stands() -> None:
    assert found("这个模型有70亿参数，需要24G显存。") == [("parameters", "70亿"), ("peak_memory", "24G")]


FORMS = ["14,5 Go", "70亿参数", "8x80GB", "16/24GB", "A100 80G", "7 Milliarden Parameter", "18 bis 20 GB", "12‑16 GB"]
PIECES = st.sampled_from([*FORMS, "VRAM ", " ", "\n", "âœ…", "trainable%: 0.5", "1", ",", ".", "G", "‑", "万"])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_every_place_leads_back_in_order(text: str) -> None:
    meant, steps = read_through(text)
    origins = [origin(steps, spot) for spot in range(len(meant) + 1)]
    assert origins == sorted(origins)
    assert origins[0] == 0
    assert origins[-1] == len(text)
