"""Yes, no and barely."""

from __future__ import annotations

import pytest

from toolkit.quantity import Mark, parse_mark
from toolkit.quantity.mark import _SIGNS

MARKS = [
    (
        Mark.YES,
        [
            "✔",
            "✅",
            "✓",
            "☑️",
            "✅✅",
            "**✔**",
            "✔️ Yes",
            "Yes",
            "yes",
            "**Yes**",
            "Yes, easily",
            "Y",
            "✅ No problem",
        ],
    ),
    (
        Mark.YES,
        ["fits", "Fits on an 8GB GPU", "It does fit", "**BEST**", "**GOOD**", "OK", "Works on consumer GPUs"],
    ),
    (
        Mark.YES,
        [
            "can be loaded in 4-bit",
            "All fit easily in 16GB",
            "not impossible",
            "no issues",
            "fits comfortably",
        ],
    ),
    (
        Mark.YES,
        ["enabling single-GPU fine-tuning", "Batch size 4-8 is safe", "fits without problems", "feasible"],
    ),
    (
        Mark.NO,
        ["❌", "✗", "✘", "❌ Impossible", "No", "no", "**No**", "No, too large", "No – needs 80 GB", "N"],
    ),
    (
        Mark.NO,
        [
            "Impossible",
            "is *not* feasible",
            "not at all feasible",
            "does not fit",
            "doesn't fit",
            "doesn’t fit in",
        ],
    ),
    (
        Mark.NO,
        [
            "won't fit",
            "can't be fine-tuned",
            "cannot fit",
            "unable to run",
            "never fits",
            "not enough memory",
        ],
    ),
    (Mark.NO, ["too big for one card", "Out of memory", "OOM", "Exceeds consumer GPU memory", "infeasible"]),
    (Mark.NO, ["no longer fits", "not comfortable", "❌ (fits with offload)", "not feasible: impossible"]),
    (
        Mark.BARELY,
        ["Barely", "⚠", "⚠️ tight", "Tight", "fits, but tight", "Yes (barely)", "✅ Partial", "just fits"],
    ),
    (
        None,
        [
            "",
            "-",
            "N/A",
            "24GB",
            "No fine-tuning required",
            "Notes",
            "now",
            "fits or fails",
            "✅ → ❌",
            "maybe",
            "know",
        ],
    ),
    (Mark.NO, ["Fits? No", "Works on 24 GB? ❌", "On 24 GB: no", "not sufficient for fine-tuning"]),
    (None, ["Fits?", "fits here, impossible there", "not tight", "?" * 1001, "fits" + " " * 1000]),
]


@pytest.mark.parametrize(("mark", "text"), [(mark, text) for mark, texts in MARKS for text in texts])
def test_marks(mark: Mark | None, text: str) -> None:
    assert parse_mark(text) is mark


@pytest.mark.parametrize("sign", ["✔", "✅", "✓", "☑", "❌", "✗", "✘", "✖", "⛔", "⚠"])
def test_signs_in_broken_encodings_are_read(sign: str) -> None:
    for encoding in ("cp1252", "mac_roman"):
        broken = "".join(
            character if character != "\ufffd" else chr(byte)
            for byte in sign.encode()
            for character in bytes([byte]).decode(encoding, errors="replace")
        )
        assert _SIGNS[broken] is _SIGNS[sign]
        assert parse_mark(f"| {broken}{broken} |") is _SIGNS[sign]
    # As an editor leaves it that drops the byte which Windows-1252 does not have.
    assert parse_mark("âŒ") is Mark.NO
