"""An environment is made once, from checked names, and nothing half-made is ever used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from toolkit.memory.trace.stack import environment as module
from toolkit.memory.trace.stack.environment import Environment, cache_folder, environment
from toolkit.memory.trace.stack.named import NamedStack

WITH_TORCH = NamedStack((("torch", "2.4.1"), ("transformers", "4.46.3")))
WITHOUT = NamedStack((("transformers", "4.46.3"),))


class Steps:
    """Stands for venv and pip: makes the files that they make, and keeps what they were asked for."""

    def __init__(self, failing: str = "") -> None:
        self.asked: list[Sequence[str]] = []
        self.failing = failing

    def __call__(self, command: Sequence[str], name: str) -> str:
        self.asked.append(command)
        if name == "venv":
            place = Path(command[-1])
            (place / "bin").mkdir(parents=True)
            (place / "lib" / "python3" / "site-packages").mkdir(parents=True)
            (place / "bin" / "python").touch()
        return f"{name} failed: no such release" if name == self.failing else ""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    found = Steps()
    monkeypatch.setattr(module, "_run", found)
    monkeypatch.setattr(module.sys, "platform", "linux")
    return found


def test_an_environment_is_made_once_and_said_so(steps: Steps, tmp_path: Path) -> None:
    said: list[str] = []
    first, again = (environment(WITH_TORCH, said.append, tmp_path) for _ in range(2))
    assert isinstance(first, Environment)
    assert first == again
    assert first.python.is_relative_to(tmp_path)
    assert said == ["making an environment with torch==2.4.1, transformers==4.46.3"]
    assert len(steps.asked) == 2


def test_pip_gets_wheels_by_exact_version_alone(steps: Steps, tmp_path: Path) -> None:
    environment(WITH_TORCH, lambda _: None, tmp_path)
    pip = list(steps.asked[1])
    assert pip[1:5] == ["-I", "-m", "pip", "install"]
    assert pip[pip.index("--only-binary") + 1] == ":all:"
    assert pip[-2:] == ["torch==2.4.1", "transformers==4.46.3"]


def test_torch_is_lent_where_the_stack_names_none(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lend(folder: Path) -> str:
        (folder / "torch").mkdir(parents=True)
        return ""

    monkeypatch.setattr(module, "lend", lend)
    monkeypatch.setattr(module, "_lent_version", lambda: "2.13.0")
    found = environment(WITHOUT, lambda _: None, tmp_path)
    assert isinstance(found, Environment)
    assert list(steps.asked[1])[-2:] == ["transformers==4.46.3", "torch==2.13.0"]
    (pointer,) = tmp_path.rglob("lent.pth")
    lent = Path(pointer.read_text().strip())
    assert (lent / "torch").is_dir()
    assert not lent.is_relative_to(found.python.parents[1])  # what lies in an environment, pip may remove
    monkeypatch.setattr(module, "_lent_version", lambda: "2.14.0")
    environment(WITHOUT, lambda _: None, tmp_path)
    assert len(steps.asked) == 4  # another torch is another environment


def test_without_a_torch_to_lend_it_says_what_to_do(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "lend", lambda _: "torch is not installed here: name torch==VERSION in the stack")
    found = environment(WITHOUT, lambda _: None, tmp_path)
    assert found == "torch is not installed here: name torch==VERSION in the stack"


@pytest.mark.parametrize("failing", ["venv", "pip"])
def test_a_failure_is_told_and_leaves_nothing(steps: Steps, tmp_path: Path, failing: str) -> None:
    steps.failing = failing
    assert environment(WITH_TORCH, lambda _: None, tmp_path) == f"{failing} failed: no such release"
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    steps.failing = ""
    assert isinstance(environment(WITH_TORCH, lambda _: None, tmp_path), Environment)


def test_what_was_broken_off_is_made_anew(steps: Steps, tmp_path: Path) -> None:
    found = environment(WITH_TORCH, lambda _: None, tmp_path)
    assert isinstance(found, Environment)
    next(tmp_path.rglob("made.json")).unlink()
    environment(WITH_TORCH, lambda _: None, tmp_path)
    assert len(steps.asked) == 4


def test_a_folder_that_cannot_be_made_is_told(steps: Steps, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = environment(WITH_TORCH, lambda _: None, tmp_path / "file")
    assert isinstance(found, str)
    assert "could not be made" in found


def test_a_step_that_fails_is_told_by_its_errors(tmp_path: Path) -> None:
    script = tmp_path / "step.py"
    script.write_text("import sys; sys.exit('WARNING: so so\\nERROR: No matching distribution\\nhint: none')")
    assert module._run([module.sys.executable, str(script)], "pip") == "pip failed: ERROR: No matching distribution"


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "vram-toolkit" / "stacks"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_folder() == Path.home() / ".cache" / "vram-toolkit" / "stacks"
