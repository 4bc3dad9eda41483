"""What a process ran before, and how its model was loaded: traced, or refused by name where code cannot run it."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import loads_warm
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

MODEL = "meta-llama/Llama-3.2-1B"
READ = Setting(MODEL, "inference", "bf16", sequence_length=32, gpu="RTX 4090", stack=Stack("plain"))
TRAINED = replace(READ, method="full", optimizer="sgd")


@pytest.mark.parametrize("setting", [READ, TRAINED], ids=["read", "trained"])
@pytest.mark.parametrize("earlier", ["none", "inference", "training"])
def test_a_trace_begins_with_the_workspaces_that_the_formula_has(setting: Setting, earlier: str) -> None:
    after, facts = replace(setting, earlier_passes=earlier), cut(MODEL, 1)
    traced, computed = trace(after, facts).ledger, estimate(after, facts).ledger
    for phase in traced.phases:
        same = computed.phase(phase.name)
        assert same is not None
        assert phase.of(Category.WORKSPACE) == same.of(Category.WORKSPACE), phase.name
    load = traced.phase(PhaseName.LOAD)
    assert load is not None
    assert load.of(Category.WORKSPACE) == {"none": 0, "inference": 1, "training": 2}[earlier] * 8_519_680


def test_only_a_device_map_may_warm_the_allocator() -> None:
    assert loads_warm("moved") == (False,)
    assert loads_warm("device-map") == loads_warm(None)


def test_a_files_tensors_are_not_traced() -> None:
    with pytest.raises(UnsupportedTrace, match="a file's tensors beside the model"):
        trace(replace(READ, loading="device-context", checkpoint_dtype="fp32"), cut(MODEL, 1))
