"""Work in several processes: the same results in the same order, whatever becomes of those that help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from tests.checks.build import SCENARIOS
from tests.cli.command import REPOSITORY
from toolkit.checks import side_by_side as forking
from toolkit.checks.run import check_paths
from toolkit.checks.side_by_side import MAX_THINGS, side_by_side

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks here"),
    pytest.mark.usefixtures("no_process_is_left"),
]
FIRST = os.getpid()


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process had no threads: those of libraries, which do not run meanwhile, are no matter here."""
    monkeypatch.setattr(forking, "can_fork", lambda: True)


def slowly(number: int) -> tuple[int, int]:
    time.sleep(0.01)
    return number, os.getpid()


def on(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process might run on so many cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("cores", [2, 5])
def test_a_process_for_each_core_works_and_results_are_in_order(
    cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_there(number: int) -> tuple[int, int]:
        (tmp_path / str(os.getpid())).touch()
        ends = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < cores and time.monotonic() < ends:
            time.sleep(0.001)
        return number, os.getpid()

    on(cores, monkeypatch)
    found = side_by_side(all_there, range(40))
    assert [number for number, _ in found] == list(range(40))
    assert len(list(tmp_path.iterdir())) == cores


@pytest.mark.usefixtures("forks")
def test_no_more_processes_than_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fork, forked = os.fork, []
    on(64, monkeypatch)
    monkeypatch.setattr(os, "fork", lambda: forked.append(fork()) or forked[-1])
    assert [number for number, _ in side_by_side(slowly, range(3))] == [0, 1, 2]
    assert len(forked) == 2


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("number", [0, 2])
def test_where_no_more_processes_can_be_had_fewer_work(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fork, forked = os.fork, []

    def no_more() -> int:
        if len(forked) == number:
            raise BlockingIOError
        forked.append(fork())
        return forked[-1]

    on(8, monkeypatch)
    monkeypatch.setattr(os, "fork", no_more)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert [number for number, _ in side_by_side(slowly, range(20))] == list(range(20))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.usefixtures("forks")
def test_fractions_and_large_results_come_across() -> None:
    found = side_by_side(lambda number: (time.sleep(0.01), Fraction(number, 7), "x" * 100_000), range(8))
    assert [(exact, len(text)) for _, exact, text in found] == [(Fraction(n, 7), 100_000) for n in range(8)]


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fails() -> None:
    raise RuntimeError("in the second process")


def leaves() -> None:
    sys.exit(3)


def interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("cores", [2, 4])
@pytest.mark.parametrize("ends", [killed, fails, leaves, interrupted])
def test_what_others_do_not_hand_over_is_done_by_the_first(
    ends: Callable[[], None], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(cores, monkeypatch)

    def work(number: int) -> int:
        time.sleep(0.01)
        if os.getpid() != FIRST:
            ends()
        return number * number

    assert side_by_side(work, range(6)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.usefixtures("forks")
def test_what_cannot_be_handed_over_is_done_by_the_first() -> None:
    found = side_by_side(lambda number: (time.sleep(0.01), lambda: number)[1], range(6))
    assert [each() for each in found] == list(range(6))


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_first_process_ends_both(error: type[BaseException], tmp_path: Path) -> None:
    def work(number: int) -> int:
        if os.getpid() == FIRST:
            raise error
        time.sleep(60)
        (tmp_path / "waited").touch()
        return number

    with pytest.raises(error):
        side_by_side(work, range(4))
    assert not (tmp_path / "waited").exists()


def test_nothing_is_forked_beside_a_thread() -> None:
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    thread.start()
    try:
        assert {process for _, process in side_by_side(slowly, range(6))} == {FIRST}
    finally:
        wait.set()
        thread.join()


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("count", [0, 1, MAX_THINGS + 1])
def test_nothing_is_forked_for_one_thing_or_too_many(count: int) -> None:
    assert set(side_by_side(lambda _: os.getpid(), range(count))) <= {FIRST}


def test_nothing_is_forked_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert {process for _, process in side_by_side(slowly, range(6))} == {FIRST}


def test_what_was_buffered_is_printed_once() -> None:
    code = (
        "import sys; from toolkit.checks.side_by_side import side_by_side\n"
        "sys.stdout.write('before ')\n"
        "side_by_side(lambda number: sys.stdout.write('within '), range(4))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.count("before") == 1


@pytest.mark.usefixtures("forks")
def test_a_check_says_the_same_in_two_processes_as_in_one(tmp_path: Path) -> None:
    for name, size in (("a", "7.6B"), ("b", "9B"), ("c", "7.6B"), ("d", "some")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "guide.md").write_text(f"The model has **{size}** parameters.\n")
        claims = 'claims:\n  - {quantity: parameters, scenario: qwen-fp32, quote: "has **{}** parameters"}\n'
        (folder / "claims.yaml").write_text(f"document: guide.md\nscenarios:\n{SCENARIOS}{claims}")
    (tmp_path / "d" / "guide.md").unlink()
    alone, both = (check_paths([tmp_path], tmp_path, date(2026, 11, 21), forks=forks) for forks in (False, True))
    assert len(alone.judgements) == 3
    assert alone.findings
    assert both.judgements == alone.judgements
    assert both.all_findings == alone.all_findings
    assert [one.spec.path for one in both.reports] == [one.spec.path for one in alone.reports]


TWO_CORES = (
    "import os, sys, toolkit.cli.main as main\n"
    "os.sched_getaffinity = lambda _: {0, 1}\n"
    "fork, forked = os.fork, []\n"
    "def counted():\n"
    "    child = fork()\n"
    "    if child: forked.append(child)\n"
    "    return child\n"
    "os.fork = counted\n"
    "import toolkit.checks.ahead as ahead, toolkit.checks.side_by_side as helped\n"
    "read, lost = helped.from_bytes, []\n"
    "def noted(written):\n"
    "    found = read(written)\n"
    "    if not found: lost.append(len(written))\n"
    "    return found\n"
    "ahead.from_bytes = helped.from_bytes = noted\n"
    "code = main.main(['check', 'specs/documents'])\n"
    "print('forked', len(forked), 'lost', lost, 'pydantic', 'pydantic' in sys.modules)\n"
)


def test_the_command_does_not_quietly_work_alone_where_it_could_fork() -> None:
    """One process loads the specs, one helps to judge them; the first needs nothing that reads specs."""
    command = [sys.executable, "-c", TWO_CORES]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    assert said.splitlines()[-1] == "forked 2 lost [] pydantic False"
