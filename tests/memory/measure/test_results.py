"""Results as lines: each is whole when it is written, and a broken line costs only itself."""

from __future__ import annotations

from pathlib import Path

from tests.memory.measure.jobs import job, outcome
from toolkit.evidence.record import Record
from toolkit.memory.measure.campaign import Left, Result
from toolkit.memory.measure.outcome import Outcome, OutcomeKind
from toolkit.memory.measure.records import record_of
from toolkit.memory.measure.results import append, records_in


def test_records_come_back_with_their_folders_and_the_rest_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    record = record_of(job(), outcome())
    append(file, Result(job(), 1, outcome(), record))
    append(file, Result(job("crashes"), 1, Outcome(OutcomeKind.CRASHED, "exit code 1"), None))
    append(file, Left(job("late"), 1, "3 s are left"))
    assert list(records_in(file)) == [
        ("specs/evidence", record),
        "line 2: crashes: crashed: exit code 1",
        "line 3: late: left: 3 s are left",
    ]


def test_a_line_that_was_cut_off_or_changed_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    append(file, Result(job(), 1, outcome(), record_of(job(), outcome())))
    whole = file.read_text("utf-8")
    file.write_text(whole + whole.replace('"allocated": 1000000', '"allocated": 1000001', 1) + whole[:200], "utf-8")
    first, changed, cut = records_in(file)
    assert isinstance(first, tuple)
    assert isinstance(first[1], Record)
    assert "changed by hand" in str(changed)
    assert "line 3 holds no result" in str(cut)


def test_no_file_is_a_reason(tmp_path: Path) -> None:
    (found,) = records_in(tmp_path / "none.jsonl")
    assert "cannot be read" in str(found)
