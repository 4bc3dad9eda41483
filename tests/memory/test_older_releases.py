"""What older releases of torch and bitsandbytes held that newer ones do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Setting, Stack

MIB = 1 << 20
LLAMA = "meta-llama/Llama-2-7b-hf"
BERT = Setting(
    "google-bert/bert-large-uncased",
    "full",
    "fp32",
    compute="fp32",
    gradients="fp32",
    batch_size=4,
    sequence_length=512,
    head="sequence-classification",
    labels=2,
    attention="eager",
)


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def rows(found: Estimate, name: PhaseName) -> dict[str, int]:
    phase = found.ledger.phase(name)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def test_zero_grad_left_gradients_in_place_before_torch_2() -> None:
    new, old = (of(replace(BERT, stack=Stack(versions={"torch": version}))) for version in ("2.0.0", "1.13.1"))
    assert rows(new, PhaseName.FORWARD_END).get("gradients", 0) == 0
    assert rows(old, PhaseName.FORWARD_END)["gradients"] == 4 * old.parameters_total
    again = of(replace(BERT, gradient_accumulation=2, stack=Stack(versions={"torch": "2.0.0"})))
    assert old.allocated == again.allocated


@pytest.mark.parametrize(
    ("compute", "version", "each"), [("bf16", "0.42.0", 4), ("bf16", "0.43.0", 2), ("fp16", "0.42.0", 2)]
)
def test_a_weight_was_dequantized_to_float16_first(compute: str, version: str, each: int) -> None:
    setting = Setting(
        LLAMA,
        "inference",
        "nf4",
        compute=compute,
        double_quant=False,
        sequence_length=64,
        stack=Stack(versions={"bitsandbytes": version}),
    )
    # The end of the prompt is inside the last layer, where the widest weight is that of the feed-forward.
    assert rows(of(setting), PhaseName.PREFILL)["dequantized_weight"] == 4096 * 11_008 * each


PAIRS = 24 * 4 * 16 * 512 * 512
"""Scores of all layers, sequences and heads of BERT-large at 4 x 512."""


def kept_scores(**fields: object) -> int:
    return rows(of(replace(BERT, **fields)), PhaseName.FORWARD_END)["attention_scores"]  # type: ignore[arg-type]


def test_softmax_kept_its_input_before_torch_1_11() -> None:
    """Beside its float32 result, which dropout keeps as a product's factor with a mask of a byte."""
    new, old = (kept_scores(stack=Stack(versions={"torch": version})) for version in ("1.11.0", "1.10.1"))
    assert new == PAIRS * (4 + 4 + 1)
    assert old == PAIRS * (4 + 4 + 4 + 1)


@pytest.mark.parametrize(("transformers", "kept"), [("4.57.1", 4), ("5.0.0", 2)])
def test_a_mask_of_float32_widened_scores_of_float16(transformers: str, kept: int) -> None:
    """Of transformers before 5, which adds it to scores whatever the rows; newer ones add none to full rows."""
    versions = {"torch": "1.10.1", "transformers": transformers}
    scores = kept_scores(amp=True, compute="fp16", stack=Stack(versions=versions))
    each = kept + 4 + 1 + 2  # the softmax's input and result, the mask, the narrow factor
    named = PAIRS // 24 * 4  # the last layer's code still has the probabilities in float32, since 4.54
    assert scores == PAIRS * each + named


@pytest.mark.parametrize("changed", [
    {"head": "masked-lm", "labels": 0}, {"model": LLAMA, "weights": "bf16"}, {"model": "google-t5/t5-small"},
])  # fmt: skip
def test_other_softmaxes_of_torch_before_1_11_are_refused(changed: dict[str, object]) -> None:
    setting = replace(BERT, **{"head": "causal-lm", "labels": 0, **changed})  # type: ignore[arg-type]
    with pytest.raises(UnsupportedRow, match="torch before"):
        of(replace(setting, stack=Stack(versions={"torch": "1.10.1"})))


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({}, 14_949),
        ({"batch_size": 1, "gradient_accumulation": 4}, 8_681),
        ({"batch_size": 1, "gradient_accumulation": 4, "gradient_checkpointing": "reentrant"}, 6_775),
        ({"amp": True, "compute": "fp16"}, 13_939),
    ],
    ids=["four at once", "one at a time", "checkpoints", "float16"],
)
def test_what_a_v100_showed_after_training(fields: dict[str, object], read: int) -> None:
    """In MiB, by transformers' perf_train_gpu_one.mdx of January 2022, which reads 1,343 before any model.

    A hundred more come with cuBLAS, whose kernels are loaded when they are first called.
    """
    versions = {"torch": "1.10.1", "transformers": "4.15.0"}
    found = of(replace(BERT, optimizer_implementation="for-loop", optimizer_states="fp32",
                       stack=Stack("transformers", versions=versions), **fields))  # type: ignore[arg-type]  # fmt: skip
    low, high = replayed(found)
    assert low / MIB + 1_343 <= read * 1.005
    assert high / MIB + 1_343 + 200 >= read * 0.985
    assert high - low < 0.02 * low


def test_gradients_that_stay_are_made_once() -> None:
    wide = replace(BERT, optimizer_states="fp32")
    new, old = (of(replace(wide, stack=Stack(versions={"torch": version}))).context for version in ("2.0.0", "1.13.1"))
    assert new is not None
    assert old is not None
    freed, kept = (Run(context, programs_of(context)).events() for context in (new, old))
    embedding = 30_522 * 1_024 * 4
    made = [sum(run.sizes[event] == embedding for event in run.order if event > 0) for run in (freed, kept)]
    gone = [sum(run.sizes[-event] == embedding for event in run.order if event < 0) for run in (freed, kept)]
    assert made[0] - gone[0] == 1 + 2  # the weight, and two states
    assert made[1] - gone[1] == 1 + 2 + 1  # and a gradient
