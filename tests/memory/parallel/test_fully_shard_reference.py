"""What fully_shard gathers and reduces, against fully_shard itself in a process group that sends nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.memory.parallel import fully_sharded
from tests.memory.parallel.fake_group import FLOAT, LAYERS, WIDTH
from toolkit.memory.parallel.shard_moments import Shards
from toolkit.memory.parallel.shard_rows import part_of
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.programs.stretch import Stretch

pytestmark = pytest.mark.reference

LAYER = 2 * WIDTH * WIDTH
SMALL_ROOT, LARGE_ROOT = 8, 1000
HALF = 2
A_LITTLE = LAYER * FLOAT // 20
"""One token's activations, which the rules under test leave to the tape."""

RANKS = (2, 4, 8)
WAYS = ({}, {"half": True}, {"reshards": False})


def shards(vocabulary: int, ranks: int, *, reshards: bool = True, half: bool = False) -> Shards:
    item = HALF if half else FLOAT
    root = 2 * vocabulary * WIDTH
    return Shards(
        root=root * item,
        embedding=0,
        end=0,
        layer=LAYER * item,
        layers=LAYERS,
        reshards=reshards,
        reduced=LAYER * item,
        part=LAYER * FLOAT // ranks,
        apart=False,
        end_part=0,
        end_sum=0,
        last_part=root * FLOAT // ranks,
        last_sum=root * item // ranks if half else 0,
        trains=True,
        whole=0,
        earlier=0,
    )


def held(vocabulary: int, ranks: int) -> int:
    return (2 * vocabulary * WIDTH + LAYERS * LAYER) * FLOAT // ranks


def fullest(stretches: list[Stretch]) -> int:
    return max(sum(stretch.throughout.values()) for stretch in stretches)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("vocabulary", [SMALL_ROOT, LARGE_ROOT])
@pytest.mark.parametrize("ranks", RANKS)
def test_what_both_passes_gather_and_reduce(ranks: int, vocabulary: int, way: dict[str, bool]) -> None:
    rule = shards(vocabulary, ranks, **way)
    item = HALF if way.get("half") else FLOAT
    rows = vocabulary * WIDTH * item
    step = Step(hidden=0, head=rows, embedding=rows, tied=False, inputs=0)
    own = {"own gradients": rule.layer}  # which a tape counts
    forward = rule.forward(step, [Stretch("last layer", {}), Stretch("logits", {})])
    passes = [Stretch("loss", {}), Stretch("last layer", own), Stretch("first layer", own), Stretch("embedding", {})]
    read = fully_sharded.run(vocabulary, ranks, **way)
    beside = held(vocabulary, ranks)
    assert max(read.forward) - beside == pytest.approx(fullest(list(forward)), abs=A_LITTLE)
    assert max(read.backward) - beside == pytest.approx(fullest(list(rule.backward(step, passes))), abs=A_LITTLE)


@pytest.mark.parametrize("ranks", [3, 5, 7])
def test_rows_that_do_not_divide_are_padded(ranks: int) -> None:
    """Every GPU gathers as many rows as the first one has, times the GPUs."""
    rows, columns = 1000, WIDTH
    assert part_of((rows, columns), ranks) == fully_sharded.local_elements(rows, columns, ranks)
