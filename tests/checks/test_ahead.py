"""Specs loaded by another process: the same specs, whatever becomes of that process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checks.build import SCENARIOS
from toolkit.checks import ahead
from toolkit.checks.ahead import MAX_AHEAD, largest_first, load_here, loading_ahead
from toolkit.checks.side_by_side import as_bytes

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks here"),
    pytest.mark.usefixtures("no_process_is_left"),
]
FIRST = os.getpid()
PIPE_BYTES = 64 * 1024
OPEN = Path("/proc/self/fd")
CLAIM = '  - {quantity: parameters, scenario: qwen-fp32, quote: "has **{}** parameters"}\n'
MANY = "".join(CLAIM.replace("has", f"sentence {number} has") for number in range(2_500))


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process had no threads: those of libraries, which do not run meanwhile, are no matter here."""
    monkeypatch.setattr(ahead, "can_fork", lambda: True)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A good spec, a broken one, and one that is larger than what a pipe holds: it is loaded first, and read last."""
    made = []
    for name, claims in (("good", CLAIM), ("broken", "  - {quantity: parametres}\n"), ("large", MANY)):
        file = tmp_path / name / "claims.yaml"
        file.parent.mkdir()
        file.write_text(f"document: guide.md\nscenarios:\n{SCENARIOS}claims:\n{claims}")
        made.append(file)
    return made


def here_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the first process, should it load a spec by itself."""

    def load(path: Path, root: Path) -> object:
        assert os.getpid() != FIRST
        return load_here(path, root)

    monkeypatch.setattr(ahead, "load_here", load)


@pytest.mark.usefixtures("forks")
def test_specs_and_their_mistakes_come_across(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [load_here(file, tmp_path) for file in files]
    assert [spec is None for spec, _ in expected] == [False, True, False]
    assert len(as_bytes(expected[2])) > 4 * PIPE_BYTES
    here_alone(monkeypatch)
    with loading_ahead([tmp_path], tmp_path) as load:
        assert [load(file, tmp_path) for file in files] == expected


@pytest.mark.usefixtures("forks")
def test_a_spec_that_is_asked_for_again_is_loaded_here(files: list[Path], tmp_path: Path) -> None:
    with loading_ahead(files, tmp_path) as load:
        assert load(files[0], tmp_path) == load(files[0], tmp_path)
        elsewhere = tmp_path / "nowhere.yaml"
        assert load(elsewhere, tmp_path) == load_here(elsewhere, tmp_path)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fails() -> None:
    raise RuntimeError("in the other process")


def leaves() -> None:
    sys.exit(3)


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("ends", [killed, fails, leaves])
def test_what_the_other_process_does_not_hand_over_is_loaded_here(
    ends: Callable[[], None], files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_one(path: Path, root: Path) -> object:
        if os.getpid() != FIRST and path == largest_first(files)[1]:
            ends()
        return load_here(path, root)

    monkeypatch.setattr(ahead, "load_here", load_one)
    with loading_ahead(files, tmp_path) as load:
        assert [load(file, tmp_path) for file in files] == [load_here(file, tmp_path) for file in files]


@pytest.mark.usefixtures("forks")
def test_an_error_meanwhile_ends_the_other_process(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), loading_ahead(files, tmp_path):
        raise KeyboardInterrupt


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("count", [0, MAX_AHEAD + 1])
def test_nothing_is_forked_for_no_spec_or_too_many(count: int, tmp_path: Path) -> None:
    for number in range(count):
        (tmp_path / f"{number}.claims.yaml").touch()
    with loading_ahead([tmp_path], tmp_path) as load:
        assert load is load_here


def test_nothing_is_forked_on_one_core(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with loading_ahead(files, tmp_path) as load:
        assert load is load_here


@pytest.mark.usefixtures("forks")
def test_no_more_files_stay_open_than_before(files: list[Path], tmp_path: Path) -> None:
    before = len(list(OPEN.iterdir()))
    with loading_ahead(files, tmp_path) as load:
        load(files[0], tmp_path)
    assert len(list(OPEN.iterdir())) == before


def test_large_files_are_begun_first(files: list[Path]) -> None:
    assert [file.parent.name for file in largest_first([*files, Path("missing")])] == ["large", "good", "broken", ""]
