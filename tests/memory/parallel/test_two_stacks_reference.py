"""What FSDP gathers and joins of a decoder after an encoder, against FSDP itself in a group that sends nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from packaging.version import Version

pytest.importorskip("torch")

from tests.memory.parallel.fake_group import FLOAT, RANKS, WIDTH
from tests.memory.parallel.stacked import DECODERS, ENCODERS, run
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.parallel.fully_shard import ENDS_APART
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.parallel.stack_spread import StackSpread
from toolkit.memory.parallel.two_stacks import BETWEEN, Stacks
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Parallel, Setting, Stack

pytestmark = pytest.mark.reference

MATRIX = WIDTH * WIDTH
LAYERS = (*[2 * MATRIX] * ENCODERS, *[3 * MATRIX] * DECODERS)
FEW, MANY = 8, 1500
"""Rows of the embedding: with few, layers decide the peak; with many, the root does."""
A_LITTLE = MATRIX * FLOAT // 8
"""One token's activations, which the rules under test leave to the tape."""
WAYS = {"as it is": ("BACKWARD_PRE", "FULL_SHARD"), "late": (None, "FULL_SHARD"), "kept": (None, "SHARD_GRAD_OP")}


def spread(vocabulary: int, way: str, *, tied: bool) -> StackSpread:
    rows = vocabulary * WIDTH
    stacks = Stacks(ENCODERS, LAYERS, rows if tied else 2 * rows)
    prefetch, strategy = WAYS[way]
    return StackSpread(
        stacks, RANKS, FLOAT, FLOAT, prefetches=prefetch is not None, stay=strategy != "FULL_SHARD", whole=0, earlier=0
    )


def shards(vocabulary: int, *, tied: bool) -> int:
    return ((1 if tied else 2) * vocabulary * WIDTH + sum(LAYERS)) * FLOAT // RANKS


def fullest(stretches: list[Stretch]) -> int:
    return max(sum(stretch.throughout.values()) for stretch in stretches)


def backward(vocabulary: int, *, tied: bool) -> list[Stretch]:
    """The embedding's gradients, of which the decoder's is added to the output's, and the encoder's to both.

    Each sum is a new tensor while a mode looks on, which the engine knows.
    """
    rows = vocabulary * WIDTH * FLOAT
    turns = [Stretch("layer", {}, place=place) for place in reversed(range(ENCODERS + DECODERS))]
    between = Stretch(BETWEEN, {"new_gradient": rows * (1 + tied)}, place=ENCODERS)
    end = Stretch("embedding", {"new_gradient": 2 * rows})
    return [Stretch("loss", {}), *turns[:DECODERS], between, *turns[DECODERS:], end]


CASES = [*product(WAYS, (FEW, MANY), (False,)), *product(WAYS, (MANY,), (True,))]


@pytest.mark.parametrize(("way", "vocabulary", "tied"), CASES)
def test_what_both_passes_gather_and_join(way: str, vocabulary: int, *, tied: bool) -> None:
    rows = vocabulary * WIDTH * FLOAT
    rule, step = spread(vocabulary, way, tied=tied), Step(hidden=0, head=rows, embedding=rows, tied=tied, inputs=0)
    prefetch, strategy = WAYS[way]
    read, beside = run(vocabulary, tied=tied, prefetch=prefetch, strategy=strategy), shards(vocabulary, tied=tied)
    passed = [Stretch("layer", {}, place=place) for place in range(ENCODERS + DECODERS)]
    forward = rule.forward(step, [*passed, Stretch("logits", {})])
    assert max(read.forward) - beside == pytest.approx(fullest(list(forward)), abs=A_LITTLE)
    joined = list(rule.backward(step, backward(vocabulary, tied=tied)))
    assert max(read.backward) - beside == pytest.approx(fullest(joined), abs=A_LITTLE)


FULL = Setting(
    "google-t5/t5-small", "full", "bf16", optimizer_implementation="fused", optimizer_states="bf16", batch_size=1,
    sequence_length=64, gpu="A100 80GB", stack=Stack("plain"), parallel=Parallel(2, "fsdp2"),
)  # fmt: skip
UNTIED, LEARNED = "google/flan-t5-small", "facebook/bart-base"
MIXED = {"weights": "fp32", "amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
TRACED = {
    "two GPUs": FULL,
    "an output weight of its own": replace(FULL, model=UNTIED, parallel=Parallel(3, "fsdp2")),
    "tables of positions": replace(FULL, model=LEARNED, parallel=Parallel(4, "fsdp2")),
    "long": replace(FULL, model=UNTIED, sequence_length=512, batch_size=2),
    "kept": replace(FULL, parallel=Parallel(8, "fsdp2", reshard_after_forward=False)),
    "mixed precision": replace(FULL, model=LEARNED, **MIXED),
    "micro-batches": replace(FULL, gradient_accumulation=4),
    "one GPU, whose embedding has two gradients": replace(FULL, model=UNTIED, parallel=Parallel()),
}


@pytest.mark.parametrize("setting", TRACED.values(), ids=TRACED)
def test_units_of_two_sizes_are_as_traced_under_fully_shard(setting: Setting) -> None:
    pytest.importorskip("transformers")
    from tests.memory.trace.agree import agree

    agree(setting, 3, peak=0.003, elsewhere=0.003)


def test_accelerate_makes_a_unit_of_what_both_stacks_share() -> None:
    pytest.importorskip("transformers")
    accelerate = pytest.importorskip("accelerate")
    if Version(accelerate.__version__) < ENDS_APART:
        pytest.skip("this release leaves the embedding in the root")
    from toolkit.memory.trace.trace import UnsupportedTrace, trace

    setting, facts = replace(FULL, stack=Stack("transformers")), load_model(FULL.model)
    assert isinstance(facts, ModelFacts)
    with pytest.raises(UnsupportedTrace, match="already managed by another FSDP group"):
        trace(setting, facts)
    with pytest.raises(UnsupportedRow, match="an embedding that both stacks share"):
        estimate(setting, facts)
