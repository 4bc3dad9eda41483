"""What FSDP gathers and joins, against FSDP itself in a process group that sends nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.memory.parallel.fake_group import FLOAT, LAYERS, RANKS, WIDTH, run, unsynchronized
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.parallel.spread import Spread, gathering_backward, gathering_forward
from toolkit.memory.programs.stretch import Stretch

pytestmark = pytest.mark.reference

LAYER = 2 * WIDTH * WIDTH * FLOAT
FORMS = ("false", "reentrant", "non-reentrant", "inside")
SMALL_ROOT, LARGE_ROOT = 8, 1000
"""Rows of the embedding: with few, layers decide the peak; with many, the root does."""
A_LITTLE = LAYER // 20
"""One token's activations, which the rules under test leave to the tape."""


def spread(vocabulary: int, form: str, *, ahead: bool = True, stays: bool = False, apart: bool = False) -> Spread:
    embedding = vocabulary * WIDTH * FLOAT
    return Spread(
        root=embedding if apart else 2 * embedding,
        embedding=embedding if apart else 0,
        embedding_gradient=embedding // RANKS if apart else 0,
        first=LAYER,
        layer=LAYER,
        prefetches=ahead and form != "reentrant",
        trains=True,
        layer_gradients=LAYERS * LAYER // RANKS,
        first_gradient=LAYER // RANKS,
        whole=0,
        retains=False,
        stays=LAYERS * LAYER if stays else 0,
    )


def shards(vocabulary: int) -> int:
    return (2 * vocabulary * WIDTH * FLOAT + LAYERS * LAYER) // RANKS


def step(vocabulary: int) -> Step:
    rows = vocabulary * WIDTH * FLOAT
    return Step(hidden=0, head=rows, embedding=rows, tied=False, inputs=0)


def fullest(stretches: list[Stretch]) -> int:
    return max(sum(stretch.throughout.values()) for stretch in stretches)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vocabulary", [SMALL_ROOT, LARGE_ROOT])
def test_what_a_forward_pass_gathers(form: str, vocabulary: int) -> None:
    rule = gathering_forward(spread(vocabulary, form), [Stretch("last layer", {}), Stretch("logits", {})])
    found = max(run(vocabulary, form).forward) - shards(vocabulary)
    assert found == pytest.approx(fullest(list(rule)), abs=A_LITTLE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vocabulary", [SMALL_ROOT, LARGE_ROOT])
def test_what_a_backward_pass_gathers_and_joins(form: str, vocabulary: int) -> None:
    names = ("loss", "last layer", "first layer", "embedding")
    of_layer = [Stretch(name, {"gradients": 0}) for name in names]
    rule = gathering_backward(spread(vocabulary, form), step(vocabulary), of_layer)
    found = max(run(vocabulary, form).backward) - shards(vocabulary)
    assert found == pytest.approx(fullest(list(rule)), abs=A_LITTLE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vocabulary", [SMALL_ROOT, LARGE_ROOT])
@pytest.mark.parametrize("prefetch", ["BACKWARD_POST", None])
def test_without_a_unit_gathered_ahead_there_is_one_fewer(form: str, vocabulary: int, prefetch: str | None) -> None:
    names = ("loss", "last layer", "first layer", "embedding")
    of_layer = [Stretch(name, {"gradients": 0}) for name in names]
    rule = gathering_backward(spread(vocabulary, form, ahead=False), step(vocabulary), of_layer)
    found = max(run(vocabulary, form, prefetch=prefetch).backward) - shards(vocabulary)
    assert found == pytest.approx(fullest(list(rule)), abs=A_LITTLE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vocabulary", [SMALL_ROOT, LARGE_ROOT])
def test_layers_that_are_not_freed_after_their_forward_stay_until_their_backward(form: str, vocabulary: int) -> None:
    share = spread(vocabulary, form, ahead=False, stays=True)
    both = run(vocabulary, form, strategy="SHARD_GRAD_OP")
    forward = gathering_forward(share, [Stretch("last layer", {}), Stretch("logits", {})])
    assert max(both.forward) - shards(vocabulary) == pytest.approx(fullest(list(forward)), abs=A_LITTLE)
    of_layer = [Stretch(name, {"gradients": 0}) for name in ("loss", "last layer", "first layer", "embedding")]
    backward = gathering_backward(share, step(vocabulary), of_layer)
    assert max(both.backward) - shards(vocabulary) == pytest.approx(fullest(list(backward)), abs=A_LITTLE)


@pytest.mark.parametrize("strategy", ["FULL_SHARD", "SHARD_GRAD_OP"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vocabulary", [SMALL_ROOT, LARGE_ROOT])
def test_an_embedding_of_its_own_is_gathered_for_its_own_forward_and_backward(
    form: str, vocabulary: int, strategy: str
) -> None:
    stays = strategy == "SHARD_GRAD_OP"
    share = spread(vocabulary, form, ahead=not stays, stays=stays, apart=True)
    both = run(vocabulary, form, strategy=strategy, apart=True)
    forward = share.forward(step(vocabulary), [Stretch("last layer", {}), Stretch("logits", {})])
    assert max(both.forward) - shards(vocabulary) == pytest.approx(fullest(list(forward)), abs=A_LITTLE)
    of_layer = [Stretch(name, {"gradients": 0}) for name in ("loss", "last layer", "first layer", "embedding")]
    backward = share.backward(step(vocabulary), of_layer)
    assert max(both.backward) - shards(vocabulary) == pytest.approx(fullest(list(backward)), abs=A_LITTLE)


TOKENS = 8192
HIDDEN = TOKENS * WIDTH * FLOAT


def test_hooks_of_frozen_layers_keep_inputs_and_gradients_of_reentrant_checkpoints() -> None:
    bytes_ = run(SMALL_ROOT, "reentrant", TOKENS, frozen=True).backward
    weights = shards(SMALL_ROOT) + 2 * SMALL_ROOT * WIDTH * FLOAT + LAYER
    kept = round((bytes_[-1] - weights) / HIDDEN)
    assert kept == 2 * LAYERS + 1  # each layer's input and its gradient, and the last layer's result


@pytest.mark.parametrize("form", ["non-reentrant", "inside"])
def test_without_reentry_around_units_nothing_is_kept_until_the_end(form: str) -> None:
    bytes_ = run(SMALL_ROOT, form, TOKENS, frozen=True).backward
    assert round((bytes_[-1] - shards(SMALL_ROOT)) / HIDDEN) <= 2


@pytest.mark.filterwarnings("ignore:layers:UserWarning")  # torch says so itself, and advises against it
def test_gradients_of_frozen_weights_are_made_beside_those_of_trained_ones() -> None:
    """All that lies in one flat parameter, until it is shared out; a root that has nothing trained has none."""
    assert unsynchronized(SMALL_ROOT) == LAYERS * LAYER
