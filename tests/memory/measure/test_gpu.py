"""Finding a GPU: every way in which there is none has its reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.memory.measure import gpu
from toolkit.memory.measure.gpu import MIB, SeenGpu, ask_driver, card_of_worker, count_cards, parsed, seen_gpu, visible

H100 = "NVIDIA H100 80GB HBM3, 81559, 4, 580.159.04"


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    seen_gpu.cache_clear()
    yield
    seen_gpu.cache_clear()


@pytest.fixture
def has_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "find_spec", lambda _: object())
    monkeypatch.setattr(gpu, "version", lambda _: "2.11.0+cu130")


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int = 0) -> None:
    """Puts an nvidia-smi on PATH that gives an answer."""
    file = folder / "nvidia-smi"
    file.write_text(f"#!{sys.executable}\nimport sys\nprint({answer!r})\nsys.exit({code})\n", "utf-8")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_card_is_what_the_driver_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_torch: None) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool(tmp_path, monkeypatch, f"{H100}\nanother, 1, 1, 1")
    assert seen_gpu() == SeenGpu("NVIDIA H100 80GB HBM3", 81559 * MIB, 4 * MIB, "580.159.04")


@pytest.mark.parametrize(("answer", "code"), [("No devices were found", 6), (H100, 9), ("a, b, c, d", 0), ("", 0)])
def test_any_other_answer_is_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    tool(tmp_path, monkeypatch, answer, code)
    assert ask_driver() == "no GPU of NVIDIA is seen by nvidia-smi"


def test_no_driver_no_torch_no_cuda_and_hidden_cards_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if name == "peft" else object())
    assert seen_gpu() == "peft not installed"
    seen_gpu.cache_clear()
    monkeypatch.setattr(gpu, "find_spec", lambda _: object())
    monkeypatch.setattr(gpu, "version", lambda _: "2.13.0+cpu")
    assert seen_gpu() == "the installed torch is built without CUDA"
    seen_gpu.cache_clear()
    monkeypatch.setattr(gpu, "version", lambda _: "2.13.0")
    assert seen_gpu() == "no GPU of NVIDIA is seen: there is no nvidia-smi"
    seen_gpu.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert seen_gpu() == "CUDA_VISIBLE_DEVICES hides every GPU"


def test_without_nvidia_smi_torch_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_torch: None) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu, "TORCH_SAYS", "print('[\"NVIDIA L4\", 23000, 22000]')")
    assert seen_gpu() == SeenGpu("NVIDIA L4", 23000, 1000, "unknown")
    seen_gpu.cache_clear()
    monkeypatch.setattr(gpu, "TORCH_SAYS", "raise RuntimeError('no NVIDIA driver on your system')")
    assert seen_gpu() == "no GPU of NVIDIA is seen: there is no nvidia-smi"


def test_an_answer_of_another_form_is_none() -> None:
    assert parsed("NVIDIA H100, [N/A], 4, 580") is None
    assert parsed("one, 1, 2") is None


def test_workers_take_the_cards_by_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [card_of_worker(f"gw{number}", 2) for number in range(3)] == ["0", "1", "0"]
    assert card_of_worker("gw1", 1) is None
    assert (visible(), visible(1)) == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-af")
    assert count_cards() == 2
    assert (visible(), visible(1)) == ("4", "GPU-af")
    assert [card_of_worker(f"gw{number}", 8) for number in range(3)] == ["4", "GPU-af", "4"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    tool(tmp_path, monkeypatch, "GPU 0: NVIDIA L4 (UUID: GPU-1)\nGPU 1: NVIDIA L4 (UUID: GPU-2)")
    assert count_cards() == 2
