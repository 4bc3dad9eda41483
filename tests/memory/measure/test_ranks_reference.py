"""Two ranks of FSDP2 under torchrun, on two processes of this CPU: one record with the peaks of both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("accelerate")

from tests.memory.measure.jobs import LORA, WORKER, job
from tests.memory.measure.test_process import gone
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.outcome import OutcomeKind
from toolkit.memory.measure.process import measured_apart
from toolkit.memory.measure.records import record_of
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Parallel, Stack

pytestmark = pytest.mark.reference

COMMAND = (sys.executable, str(WORKER))
SHARED: dict[str, Any] = {
    "parallel": Parallel(2, "fsdp2"), "sequence_length": 16,
    "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "torch's own, layer by layer": {"stack": Stack(trainer="plain")},
    "accelerate's": {},
    "lora": {"method": "lora", "lora": LORA, "stack": Stack(trainer="plain")},
}


def shared(scenario: str = "full", **fields: Any) -> Measurable:
    return job(scenario, **{**SHARED, **fields})


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_each_rank_holds_the_half_that_a_trace_sees(fields: dict[str, Any]) -> None:
    one = shared(**fields)
    found = measured_apart(one, 300, COMMAND)
    assert found.kind is OutcomeKind.MEASURED, found.reason
    step = trace(one.setting, one.facts).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    for category in (Category.WEIGHTS, Category.ADAPTERS, Category.GRADIENTS, Category.OPTIMIZER_STATES):
        rows = found.reading["rows"].get(category.value, {"bytes": 0})
        assert rows["bytes"] == step.of(category), category
    assert [sorted(rank) for rank in found.reading["ranks"]] == [
        ["allocated", "card", "context", "phase", "reserved"]
    ] * 2
    record = record_of(one, found)
    assert record is not None
    assert record.setting["parallel"]["gpus"] == 2
    assert record.made["readings"][0]["ranks"] == found.reading["ranks"]


def test_one_full_card_is_the_result_of_all() -> None:
    found = measured_apart(shared("too-large-for-one"), 300, COMMAND)
    assert found.kind is OutcomeKind.FULL, found.reason
    assert "out of memory" in found.reason


def test_a_crash_of_ranks_is_a_crash() -> None:
    assert measured_apart(shared("crashes"), 300, COMMAND).kind is OutcomeKind.CRASHED


def test_what_is_not_fsdp2_is_refused_by_name() -> None:
    found = measured_apart(shared(parallel=Parallel(2, "tensor")), 300, COMMAND)
    assert (found.kind, found.reason) == (OutcomeKind.REFUSED, "tensor on several GPUs is not measured yet")


def test_ranks_that_hang_are_ended_with_all_that_they_started(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    code = (
        "import os, sys, time; sys.path.insert(0, '.'); from pathlib import Path; "
        "from toolkit.memory.measure.worker import work; "
        f"wait = lambda job: (Path({str(note)!r} + os.environ['RANK']).write_text(str(os.getpid())), time.sleep(600)); "
        "work(Path(sys.argv[1]), Path(sys.argv[2]), wait)"
    )
    script = tmp_path / "hangs.py"
    script.write_text(code, "utf-8")
    found = measured_apart(shared("hangs"), 40, (sys.executable, str(script)))
    assert found.kind is OutcomeKind.TIMED_OUT
    pids = [int(file.read_text()) for file in tmp_path.glob("pids*")]
    assert len(pids) == 2
    assert all(map(gone, pids))
