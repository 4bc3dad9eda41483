"""What each GPU needs of a model whose layers are spread over several, against published readings and by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate, on_gpu
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Parallel, Setting, Stack

QWEN = Setting(
    "Qwen/Qwen2.5-72B-Instruct",
    "inference",
    "bf16",
    generated_length=2048,
    attention="flash",
    gpu="A100 80GB",
    stack=Stack("transformers", versions={"torch": "2.3.1", "transformers": "4.46.0"}),
)

READINGS = (
    ("bf16", 2, 1, 146_243_636_429),
    ("bf16", 2, 6144, 150_323_855_360),
    ("bf16", 3, 14336, 160_137_855_877),
    ("gptq-int8", 2, 6144, 83_547_851_325),
)
"""Sums over the GPUs of what torch allocated at most, to two decimals of a GiB: QwenLM/Qwen2.5, commit a912d239,
docs/source/benchmark/speed_benchmark.rst."""


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def at(setting: Setting, phase: PhaseName, category: Category) -> int:
    found = of(setting).ledger.phase(phase)
    return found.of(category) if found else 0


@pytest.mark.parametrize(("weights", "gpus", "prompt", "read"), READINGS)
def test_the_sum_over_the_gpus_is_the_one_that_was_read(weights: str, gpus: int, prompt: int, read: int) -> None:
    setting = replace(QWEN, weights=weights, sequence_length=prompt, parallel=Parallel(gpus, "pipeline"))
    if weights != "bf16":
        setting = replace(setting, compute="fp16")
    assert sum(one.allocated for one in of(setting).each) == pytest.approx(read, rel=0.0005)


@pytest.mark.parametrize("gpus", [2, 3, 8])
def test_parts_are_the_whole(gpus: int) -> None:
    """Weights, cache and parameters are shared out: together they are those of one GPU that could hold all."""
    alone, spread = of(QWEN), of(replace(QWEN, parallel=Parallel(gpus, "pipeline")))
    for phase in (PhaseName.LOAD, PhaseName.DECODE):
        for category in (Category.WEIGHTS, Category.KV_CACHE):
            whole = alone.ledger.phase(phase)
            parts = [part.ledger.phase(phase) for part in spread.each]
            assert whole is not None
            assert sum(part.of(category) for part in parts if part) == whole.of(category)
    assert spread.parameters_total == alone.parameters_total


def test_the_estimate_is_that_of_the_fullest_gpu() -> None:
    found = of(replace(QWEN, parallel=Parallel(2, "pipeline")))
    assert found.allocated == max(part.allocated for part in found.parts)
    assert [part.stage.gpu for part in found.parts if part.stage] == [0, 1]


def test_logits_of_a_prompt_go_back_to_the_first_gpu() -> None:
    """Before 4.45 they were of the whole prompt: 4 bytes x tokens x vocabulary, on the last GPU and on the first."""
    early = Stack("transformers", versions={"transformers": "4.44.2"})
    setting = replace(QWEN, sequence_length=8192, stack=early, parallel=Parallel(3, "pipeline"))
    logits = 4 * 8192 * 152064
    first, second, last = of(setting).each
    for part, copies in ((first, 1), (second, 0), (last, 1)):
        rows = {rule.name: size for phase in part.phases for rule, size in phase.sizes}
        assert rows.get("logits_float32", 0) == copies * logits


def test_on_another_gpu_every_part_moves() -> None:
    setting = replace(QWEN, parallel=Parallel(3, "pipeline"), gpu="H200")
    assert on_gpu(of(replace(setting, gpu="A100 80GB")), setting) == of(setting)


def test_what_is_free_on_each_card_is_not_guessed() -> None:
    """Two cards of 48 GB have no room for a balanced share: how much is free on each would decide."""
    with pytest.raises(UnsupportedRow, match="what is free on each"):
        of(replace(QWEN, gpu="L40S", parallel=Parallel(2, "pipeline")))


def test_kinds_of_layers_are_where_their_layers_are() -> None:
    """Of Gemma 2's 42 layers every second one has a window of 4,096: the sum over GPUs keeps what one GPU would."""
    setting = replace(QWEN, model="google/gemma-2-9b", sequence_length=6000, stack=Stack("transformers"))
    alone, spread = of(setting), of(replace(setting, parallel=Parallel(2, "pipeline")))
    caches = [part.ledger.phase(PhaseName.DECODE) for part in (alone, *spread.each)]
    whole, *parts = (phase.of(Category.KV_CACHE) for phase in caches if phase)
    assert sum(parts) == whole


TRAINED = Setting("Qwen/Qwen3-8B", "full", "bf16", batch_size=1, sequence_length=1024, parallel=Parallel(2, "pipeline"))


def held(one: Estimate) -> int:
    """Weights, gradients and states as the optimizer steps."""
    step = one.ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    return sum(step.of(kind) for kind in (Category.WEIGHTS, Category.GRADIENTS, Category.OPTIMIZER_STATES))


@pytest.mark.parametrize("gpus", [2, 3, 4])
def test_what_is_trained_is_shared_out(gpus: int) -> None:
    """Weights, gradients and two states of 8,190,735,360 parameters in 16 bits."""
    spread = of(replace(TRAINED, parallel=Parallel(gpus, "pipeline")))
    assert sum(map(held, spread.each)) == 4 * 2 * 8_190_735_360


def test_where_hooks_run_again_a_checkpoint_keeps_its_input_on_the_gpu_before() -> None:
    """Before 5.23 a layer's first checkpoint on a GPU has it from the one before: 1,024 x 4,096 x 2 bytes."""
    kept = []
    for release in ("5.22.0", "5.23.0"):
        stack = Stack("transformers", versions={"transformers": release})
        parts = of(replace(TRAINED, gradient_checkpointing="non-reentrant", stack=stack)).each
        ends = [part.ledger.phase(PhaseName.FORWARD_END) for part in parts]
        kept.append([sum(row.bytes for row in end.rows if row.name == "layer_inputs") for end in ends if end])
    (first, last), (now_first, now_last) = kept
    assert (first - now_first, now_last - last) == (1024 * 4096 * 2, 1024 * 4096 * 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stack": Stack("plain")}, "pipeline by plain"),
        ({"head": "sequence-classification", "labels": 2}, "a sequence-classification head with pipeline"),
        ({"objective": "dpo", "stack": Stack("trl", loss="chunked")}, "pipeline and the loss of dpo"),
        ({"model": "google/flan-t5-large"}, "whose order is not known"),
        ({"parallel": Parallel(2, "pipeline", offload=True)}, "offloading with strategy pipeline"),
    ],
)
def test_what_is_not_followed_of_training_is_refused_by_name(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        of(replace(TRAINED, **change))


def test_one_process_on_all_gpus_has_no_communicator() -> None:
    """What the cards show beside torch's memory is the context alone, with DDP also NCCL's 688 MiB at most."""
    piped, copied = (of(replace(TRAINED, parallel=Parallel(2, way))) for way in ("pipeline", "ddp"))
    beyond = [one.device[1] - one.reserved[1] for one in (piped, copied)]
    assert beyond[1] - beyond[0] == 688 << 20
