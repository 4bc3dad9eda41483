"""Traces of published runs are kept as lines that say the same each time, and none that was changed is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.accuracy.traced.lines import FILE, TracedLine, fingerprint, read_lines, write_lines
from toolkit.spec.settings.setting import Setting

LINE = TracedLine(
    run="a-run", of="0123456789ab", asked={"transformers": "4.45.2"}, libraries={"transformers": "4.45.2"},
    allocated=1000, blocks=(1000, 1024), reserved=(2048, 2048), device=(3000, 4000), phase="backward",
    operation="aten::mm", parts={"weights": 900, "temporary": 100}, traced="every layer",
    made={"date": "2026-11-21", "seconds": 1.5, "toolkit": "0"},
)  # fmt: skip
REFUSED = TracedLine("b-run", "ba9876543210", {}, reason="gptq-int4 weights are not traced yet")


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    write_lines(tmp_path, [REFUSED, LINE])
    assert read_lines(tmp_path) == [LINE, REFUSED]
    before = (tmp_path / FILE).read_bytes()
    write_lines(tmp_path, [LINE, REFUSED])
    assert (tmp_path / FILE).read_bytes() == before
    assert read_lines(tmp_path / "none") == []


@pytest.mark.parametrize(
    "change",
    [
        {"allocated": 999},
        {"blocks": [1024, 1000]},
        {"blocks": [1000]},
        {"device": [-1, 4000]},
        {"reserved": [True, 2048]},
        {"unknown": 1},
        {"libraries": {"transformers": "4.46.0"}},
    ],
)
def test_a_line_that_was_changed_is_not_believed(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(json.loads(LINE.text()) | change) + "\n", "utf-8")
    with pytest.raises(ValueError, match=r"traced\.jsonl:1: no line of a trace"):
        read_lines(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"run": "a"}', "[" * 100_000])
def test_what_is_no_line_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(LINE.text() + text + "\n", "utf-8")
    with pytest.raises(ValueError, match=r"traced\.jsonl:2: no line of a trace"):
        read_lines(tmp_path)


def test_another_setting_is_another_run() -> None:
    setting = Setting("a/model", "inference", "bf16", batch_size=1, sequence_length=8)
    assert fingerprint(setting, "abc") == fingerprint(replace(setting, gpu="H100 80GB"), "abc")
    assert fingerprint(setting, "abc") != fingerprint(setting, "abd")
    assert fingerprint(setting, "abc") != fingerprint(replace(setting, sequence_length=9), "abc")
