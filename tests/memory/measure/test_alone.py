"""Measurements on one card follow each other; those on two do not wait."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from toolkit.memory.measure.alone import card_alone

pytest.importorskip("fcntl")


def test_who_comes_second_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    said: list[str] = []

    def second() -> None:
        with card_alone(tmp_path):
            said.append("second")

    with card_alone(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        said.append("first")
    thread.join(10)
    assert said == ["first", "second"]


def test_another_card_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with card_alone(tmp_path):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "../1")
        with card_alone(tmp_path):
            names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert not any("/" in name or ".." in name for name in names)
