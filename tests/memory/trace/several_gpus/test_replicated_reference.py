"""DistributedDataParallel on one of several GPUs: what its reducer holds, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.replay.broadcast import buffers, module_states
from toolkit.memory.replay.replicated import ReplicatedRun, rebuilt_buckets, trained_tensors
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.trace.many.layers import whole_run
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

NAME = "Qwen/Qwen2.5-0.5B"
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
FULL = Setting(NAME, "full", "bf16", batch_size=2, sequence_length=256, parallel=Parallel(4, "ddp"))
LORA = replace(FULL, method="lora", lora=Lora(8), gradient_checkpointing="non-reentrant", **MIXED)
ACCUMULATED = replace(FULL, gradient_accumulation=4)
ELEMENTS = 151_936 * 896 + 896
"""Of the embedding, which the head shares, and of the last norm."""
LAYER = 2 * 896 * 896 + 2 * 896 * 128 + 896 + 2 * 128 + 3 * 896 * 4864 + 2 * 896
TRAINED = {"full": 2 * (ELEMENTS + 3 * LAYER), "lora": 4 * 3 * 8 * (4 * 896 + 2 * (896 + 128) + 3 * (896 + 4864))}


def buckets(setting: Setting) -> list[int]:
    """The flat buffers of the last step: what the first pass made is replaced."""
    run = whole_run(setting, cut(NAME, 3))
    timeline = run.timeline
    lasting = timeline.alive(timeline.marks[-1][0])
    gradients = (timeline.allocations[index] for index in lasting if run.kinds.get(index) is Category.GRADIENTS)
    return [one.bytes for one in gradients if one.operation == "aten::empty.memory_format"]


@pytest.mark.parametrize("setting", [FULL, ACCUMULATED, LORA], ids=["full", "accumulated", "lora"])
def test_every_trained_parameter_has_a_place_in_a_bucket(setting: Setting) -> None:
    assert sum(buckets(setting)) == TRAINED[setting.method]


@pytest.mark.parametrize("setting", [FULL, ACCUMULATED, LORA], ids=["full", "accumulated", "lora"])
def test_buckets_are_replayed_as_they_are_rebuilt(setting: Setting) -> None:
    context = estimate(setting, cut(NAME, 3)).context
    assert context is not None
    found = [*rebuilt_buckets([*trained_tensors(context)][::-1])]
    assert len(found) > 1
    assert sorted(found) == pytest.approx(sorted(buckets(setting)), abs=4 * 896 * 2)  # but for the order of norms


@pytest.mark.parametrize(("trainer", "passes"), [("transformers", 2), ("plain", 1)])
def test_buckets_are_made_anew_after_gradients_were_reduced(trainer: str, passes: int) -> None:
    """accelerate has the last of a step's micro-batches reduce them, a plain loop every one; two are followed."""
    setting, model = replace(ACCUMULATED, stack=Stack(trainer)), cut(NAME, 3)
    timeline = whole_run(setting, model).timeline
    seen = _before_release(timeline.events, [one.bytes for one in timeline.allocations], TRAINED["full"])
    backward = [event for event, phase in timeline.marks if phase is PhaseName.BACKWARD]
    assert sum(event < seen[0] for event in backward) == passes
    context = estimate(setting, model).context
    assert context is not None
    events = ReplicatedRun(context, programs_of(context)).events()
    assert _before_release(events.order, events.sizes[1:], TRAINED["full"])[1] == pytest.approx(seen[1], rel=0.001)


def _before_release(events: Sequence[int], sizes: Sequence[int], size: int) -> tuple[int, int]:
    """The event that releases what has a size, and the bytes that are alive before it."""
    alive = 0
    for place, event in enumerate(events):
        if event < 0 and sizes[-event - 1] == size:
            return place, alive
        alive += sizes[abs(event) - 1] * (1 if event > 0 else -1)
    raise AssertionError(size)


def test_buckets_are_beside_what_one_gpu_holds() -> None:
    found, alone = (trace(one, cut(NAME, 3)) for one in (FULL, replace(FULL, parallel=Parallel())))
    assert found.how == "every layer"
    for phase in alone.ledger.phases[1:]:
        together = found.ledger.phase(phase.name)
        assert together is not None
        assert together.total - phase.total == pytest.approx(TRAINED["full"], rel=0.002)


@pytest.mark.parametrize("setting", [FULL, LORA], ids=["full", "lora"])
def test_formulas_have_the_same_buckets(setting: Setting) -> None:
    model = cut(NAME, 3)
    seen, computed = trace(setting, model).ledger, estimate(setting, model).ledger
    for phase in seen.phases:
        other: Any = computed.phase(phase.name)
        assert as_traced(other) == pytest.approx(phase.total, rel=0.0005), phase.name


LLAMA, ALL = "meta-llama/Llama-3.1-8B", Lora(8)
SENT: dict[str, tuple[str, int, dict[str, Any]]] = {
    "adapters have a dtype of their own": (LLAMA, 2, {"method": "lora", "lora": ALL, **MIXED}),
    "adapters are between the weights": (
        LLAMA, 2, {"method": "lora", "lora": replace(ALL, dtype="bf16"), "stack": Stack("plain")},
    ),
    "some weights are packed, others cast": (LLAMA, 2, {"method": "qlora", "weights": "nf4", "lora": ALL, **MIXED}),
    "weights of 8 bits": (LLAMA, 2, {"method": "lora", "weights": "int8", "lora": ALL, **MIXED}),
    "a copy of a module is trained": (
        "Qwen/Qwen2.5-7B", 2, {"method": "lora", "lora": Lora(8, modules_to_save=("lm_head",)), **MIXED},
    ),
    "a weight that is shared is sent once": (NAME, 9, {"method": "full"}),
    "tables of positions come first": ("openai-community/gpt2", 12, {"method": "full", "weights": "fp32", **MIXED}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "layers", "fields"), SENT.values(), ids=SENT)
def test_a_model_is_sent_before_it_trains(name: str, layers: int, fields: dict[str, Any]) -> None:
    """The buffers that torch makes as DDP is put around the model; rotary frequencies may be in them."""
    given = {"weights": "bf16", "gradient_checkpointing": "non-reentrant", "batch_size": 1, "sequence_length": 64}
    setting = Setting(name, parallel=Parallel(4, "ddp"), **{**given, **fields})
    model = cut(name, layers)
    made = whole_run(setting, model).timeline.allocations
    known = estimate(setting, model)
    assert known.context is not None
    sent = [size for size in buffers(module_states(known.context)) if size]
    assert sent
    torch_made = [one.bytes for one in made if one.operation == "aten::cat"][: len(sent)]
    assert [pytest.approx(size, abs=512) for size in sent] == torch_made
    low, high = replayed(known)
    seen = trace(setting, model, whole=True).reserved
    assert low <= seen[0] <= seen[1] <= high <= known.reserved[1]


def test_places_are_named_as_on_one_gpu() -> None:
    step = trace(FULL, cut(NAME, 1)).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    rows = step.rows
    assert "model.layers.*.mlp.up_proj" in {row.name for row in rows if row.category is Category.GRADIENTS}
    assert not any(row.name.startswith("module") for row in rows)
