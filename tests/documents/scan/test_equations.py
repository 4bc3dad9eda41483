"""Where written arithmetic begins and ends."""

import pytest

from toolkit.documents.scan.equations import equations
from toolkit.documents.scan.values import values_in


def written(text: str) -> list[str]:
    return [text[one.start : one.end] for one in equations(text, values_in(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Total: 28 + 28 + 56 = 112 GB of VRAM", ["28 + 28 + 56 = 112 GB"]),
        ("- 7B params × 4 bytes\n  = 28 GB", ["7B params × 4 bytes\n  = 28 GB"]),
        ("(0.5B × 2) + 0.5GB = 1.5GB", ["(0.5B × 2) + 0.5GB = 1.5GB"]),
        ("`2 * 4 = 8` and `3 * 4 = 12`", ["2 * 4 = 8", "3 * 4 = 12"]),
        ("320 examples × 3 epochs = 960 steps", ["320 examples × 3 epochs = 960"]),
        ("10 / 4 = 2.5 = 5 / 2", ["10 / 4 = 2.5 = 5 / 2"]),
    ],
)
def test_equations(text: str, expected: list[str]) -> None:
    assert written(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "batch = 4, steps = 8",
        "TP=4, PP=2 - so then you have 2 replicas",
        "100 FLOPs = 50 MACs - because there are 2 in each",
        "layers × 2 × 8 = 16 GB",
        "2 × 8 = 16 × layers",
        "$7 \\times 10^9 \\times 2 = 14 \\text{ GB}$",
        "2 + 2 == 5",
        "lr = 2e-4 and rank = 16",
        "x - 14 + 14 = 28",
    ],
)
def test_no_equation(text: str) -> None:
    assert written(text) == []
