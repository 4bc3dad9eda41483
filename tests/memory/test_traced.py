"""Estimates against traces: the real code of the libraries, run on tensors without storage.

How each record was made: transformers' model from its config on the `meta` device, peft's adapters, bitsandbytes'
Linear4bit with a hand-made state, two steps of the real optimizer; a TorchDispatchMode counted every storage, rounded
up to 512 bytes, from its making to its finalizer. Attention went through an autograd function with the tensors of a
flash kernel; autocast and dropout were imitated, as a CPU build of torch has neither on meta tensors.
torch 2.13.0, transformers 5.23.0, peft 0.21.2, bitsandbytes 0.50.2; TRL's chunked loss and casts as in its sources.

LLM.int8() ran bitsandbytes' own Linear8bitLt and MatMul8bitLt on tensors of their shapes. Its CUDA kernels do not run
on meta tensors: in their place each allocated what bitsandbytes/backends/cuda/ops.py allocates, in that order, with one
outlier column (that no more than a few columns are outliers, and what cuBLASLt itself takes, is from reading alone).
Those of few layers are from `toolkit.memory.trace`, which takes the kernels that a GPU takes and knows autocast. So are
those that attend in float32 with grouped heads: no flash kernel does, and the scores are written out.
Records of inference drop the dequantized weight up to four rows, as gemm_4bit does on every GPU.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.settings import facts_of, name_of, records, setting_of
from tests.memory.whole_blocks import as_traced
from toolkit.memory.device import DEFAULT_WORKSPACE
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName

PHASES = (
    PhaseName.FORWARD_END,
    PhaseName.BACKWARD,
    PhaseName.OPTIMIZER_STEP,
    PhaseName.PREFILL,
    PhaseName.DECODE,
)
PEAK_TOLERANCE = 0.0005
PHASE_TOLERANCE = 0.015
"""Two-layer models show small tensors that a whole one hides: those of passing casts and of embeddings."""

TRACED = [*records("traced"), *records("traced_8bit"), *records("traced_inference"), *records("traced_layers")]


@pytest.mark.parametrize("record", TRACED, ids=name_of)
def test_the_peak_is_that_of_the_trace(record: dict[str, Any]) -> None:
    found = estimate(setting_of(record), facts_of(record))
    traced = max(record[phase] for phase in PHASES if phase in record)
    workspaces = found.ledger.peak.of(Category.WORKSPACE)
    computed = max(as_traced(phase) for phase in found.ledger.phases[1:]) - workspaces
    assert computed == pytest.approx(traced, rel=PEAK_TOLERANCE), f"{computed - traced:+,} bytes"


@pytest.mark.parametrize("record", TRACED, ids=name_of)
def test_every_phase_is_near_that_of_the_trace(record: dict[str, Any]) -> None:
    found = estimate(setting_of(record), facts_of(record))
    for name in PHASES:
        if name in record:
            phase = found.ledger.phase(name)
            assert phase is not None
            computed = as_traced(phase) - phase.of(Category.WORKSPACE)
            assert computed == pytest.approx(record[name], rel=PHASE_TOLERANCE), name


def test_a_trace_has_no_workspace_and_an_estimate_has_one_for_each_thread() -> None:
    [training, *_] = (record for record in TRACED if "backward" in record)
    [inference, *_] = (record for record in TRACED if "prefill" in record)
    for record, threads in ((training, 2), (inference, 1)):
        peak = estimate(setting_of(record), facts_of(record)).ledger.peak
        assert peak.of(Category.WORKSPACE) == threads * DEFAULT_WORKSPACE
