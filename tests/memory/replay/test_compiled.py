"""Replays that are compiled, against those of Python; and where numba is loaded, and where not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.command import REPOSITORY
from toolkit.memory.replay import orders
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.orders import compile_replays, reserved
from toolkit.memory.replay.requests import How, PlainPool, plain_requests

numba = pytest.importorskip("numba")

from toolkit.memory.replay import kernel  # noqa: E402 - where numba is
from toolkit.memory.replay.compiled import CompiledPool, compiled_requests  # noqa: E402 - likewise

KIB, MIB, TIB = 1 << 10, 1 << 20, 1 << 40
SIZES = st.one_of(
    st.integers(1, 64 * MIB),
    st.sampled_from([1, 512, 513, 100 * KIB, MIB, MIB + 1, 2 * MIB, 10 * MIB, 20 * MIB, 33 * MIB]),
)
STEPS = st.lists(st.tuples(SIZES, st.integers(0, 6)), max_size=200)
MADE = {count: [2 * MIB, KIB][:count] for count in range(-1, 9)}
"""The sizes of stretches of so many blocks: one object, however often they come."""
HOWS = st.builds(
    How,
    loaded=st.integers(0, 60),
    swaps=st.booleans(),
    warm=st.sampled_from([0, 1, 100 * MIB]),
    limit=st.sampled_from([None, 0, 50 * MIB, 500 * MIB]),
    settled=st.one_of(st.none(), st.integers(0, 80)),
)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Before any test is timed."""
    events = Events()
    events.sizes.append(1)
    events.move((1, -1), 0)
    for grows in (False, True):
        events.grows = grows
        asked = compiled_requests(events.outline())
        assert asked is not None
        asked.large.replayed(How())


@pytest.fixture(autouse=True)
def _by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_compiled", None)
    monkeypatch.setattr(orders, "_KNOWN", {})


def _events(steps: list[tuple[int, int]]) -> Events:
    """Each step allocates, and releases one of the blocks that are there where its number names one."""
    events, there = Events(), []
    for size, number in steps:
        there.append(events.allocate(size))
        if 0 < number <= len(there):
            events.release(there.pop(-number))
    return events


@given(STEPS, HOWS, st.booleans())
def test_compiled_code_reserves_what_python_does(steps: list[tuple[int, int]], how: How, grows: bool) -> None:
    """In both pools, whatever is there first, in each order, as far as the limit, and where segments grow."""
    events = _events(steps)
    events.grows = grows
    events.loaded, events.settled = how.loaded, how.settled
    compiled, plain = compiled_requests(events.outline()), plain_requests(events)
    assert compiled is not None
    assert compiled.large.replayed(how) == plain.large.replayed(how)
    assert compiled.small.replayed(how).reserved == plain.small.replayed(how).reserved
    assert compiled[2:] == plain[2:]


LINKED = (3, -2, 4, -3)
"""Lets go of what the stretch before it left, and makes two blocks of its own."""

STRETCHES = st.lists(
    st.one_of(st.just((1, 2, -1)), st.just((1, -1)), st.just(()), st.just(LINKED), st.none()), max_size=30
)


@given(STRETCHES, st.integers(0, 20))
def test_stretches_are_written_out_as_python_does(stretches: list[tuple[int, ...] | None], loaded: int) -> None:
    """With events between them or none, the same ones again or others, and where a model is loaded amid them."""
    events, left = Events(), None
    for stretch in stretches:
        if stretch is None:
            events.release(events.allocate(3 * MIB))
        else:
            before = events.make(MADE[len(stretch) - 1])
            if stretch != LINKED:
                events.move(stretch, before)
            elif left is None:
                events.move((1, 2, -1), before)
            else:
                events.move(stretch, before, 2, left)
            left = before if stretch in (LINKED, (1, 2, -1)) else left
    events.loaded = loaded
    asked, plain = compiled_requests(events.outline()), plain_requests(events)
    assert asked is not None
    assert asked[2:] == plain[2:]
    for one, other in ((asked.large, plain.large), (asked.small, plain.small)):
        assert isinstance(one, CompiledPool)
        assert isinstance(other, PlainPool)
        assert one._order.tolist() == other._order


def test_the_least_of_many_free_pieces_is_found() -> None:
    """Many more than are compared at once, of sizes that repeat, with neighbours that are free and that are not."""
    sizes = [(2 + number * 7 % 31) * MIB + 512 * (number % 3) for number in range(400)]
    events = Events()
    blocks = [*events.allocate_all(sizes)]
    events.release_all(blocks[::2])
    events.release_all(events.allocate_all(sizes[100:300]))
    events.release_all(blocks[1::4])
    events.allocate_all(sizes[::-1])
    compiled, plain = compiled_requests(events.outline()), plain_requests(events)
    assert compiled is not None
    for swaps in (True, False):
        assert compiled.large.replayed(How(swaps=swaps)) == plain.large.replayed(How(swaps=swaps))


@pytest.mark.parametrize("sizes", [[TIB], [TIB // 2 + 1] * 3, [1 << 80], [600 * MIB] * 2000])
@pytest.mark.parametrize("warms", [True, False])
def test_more_than_compiled_code_counts_is_left_to_python(sizes: list[int], warms: bool) -> None:
    events = Events()
    events.allocate_all(sizes)
    events.loaded = len(sizes)
    expected = reserved(events, warms=warms)
    assert expected[1] >= sum(sizes)
    assert compile_replays()
    assert reserved(events, warms=warms) == expected


def test_digests_tell_events_apart() -> None:
    steps = [(3 * MIB, 0), (KIB, 0), (4 * MIB, 2)]
    first, again, larger, other = [
        _events(one).outline() for one in (steps, steps, [(5 * MIB, 0), *steps[1:]], [*steps[:2], (4 * MIB, 1)])
    ]
    assert first.digest() == again.digest()
    settled = first._replace(settled=1)
    assert len({one.digest() for one in (first, larger, other, settled)}) == 4
    assert len({first.digest(*how) for how in ((), (True,), (True, 1), (False, 1))}) == 4


def test_without_numba_python_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    for name in ("kernel", "compiled"):
        monkeypatch.delitem(sys.modules, f"toolkit.memory.replay.{name}")
    assert not compile_replays()
    assert reserved(_events([(30 * MIB, 1), (30 * MIB, 1)])) == (30 * MIB, 60 * MIB)


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    njit = numba.njit

    def nowhere(*kernels: Callable[..., object], cache: bool = False) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*kernels)

    monkeypatch.setattr(numba, "njit", nowhere)

    def doubled(number: int) -> int:
        return 2 * number

    assert kernel._kept(doubled)(21) == 42


FORKS = (
    "import os; os.sched_getaffinity = lambda _: {0, 1}\n"
    "from toolkit.checks.side_by_side import can_fork\n"
    "from toolkit.memory.replay.orders import compile_replays\n"
    "print(compile_replays(), can_fork(), os.environ.get('OPENBLAS_NUM_THREADS'))\n"
)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks here")
def test_processes_can_be_forked_after_it_is_loaded() -> None:
    """Numpy's OpenBLAS would start threads as it is loaded; what the user set of it stays."""
    command = [sys.executable, "-c", FORKS]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    assert said.split() == ["True", "True", "None"]


ESTIMATE = ["estimate", "--model", "HuggingFaceTB/SmolLM2-135M", "--method", "full", "--weights", "bf16"]
PUBLISHED = ["accuracy", "specs/published/fsdp_qlora"]


@pytest.mark.parametrize("arguments", [["check", "specs/documents/gpt-oss-20b"], ESTIMATE, PUBLISHED])
def test_what_replays_little_does_not_wait_for_numba(arguments: list[str]) -> None:
    code = f"import sys, toolkit.cli.main as main; main.main({arguments!r}); print('numba' in sys.modules)"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    assert said.splitlines()[-1] == "False"
