"""Start-up logs of vLLM against estimates: what loads, what a token of the cache takes, and what is left for it."""

from __future__ import annotations

import pytest

from tests.accuracy.build import PUBLISHED
from toolkit.accuracy.score import Score, Scores, score
from toolkit.spec.published import load_published

SOURCES = ("vllm_logs", "llm_d_planner_vllm")


@pytest.fixture(scope="module")
def scores() -> Scores:
    loaded = [load_published(PUBLISHED / name, PUBLISHED)[0] for name in SOURCES]
    return score([source for source in loaded if source is not None], PUBLISHED)


def errors(scores: Scores, metric: str) -> list[float]:
    return sorted(abs(one.error) for one in scores.scored if one.reading.metric == metric)


def of_run(scores: Scores, run: str) -> dict[str, Score]:
    return {one.reading.metric: one for one in scores.scored if one.run.run == run}


def test_loading_and_tokens_are_exact_but_for_what_is_known(scores: Scores) -> None:
    """Printed to 4 or 2 digits; AMD's GPUs pad (qwen3-4b), and no row has the scales and workspaces of kernels."""
    weights, tokens = errors(scores, "weights"), errors(scores, "vllm_kv_per_token")
    assert len(weights) >= 43
    assert weights[len(weights) // 2] <= 0.0001
    assert weights[-2] <= 0.0015
    assert len(tokens) >= 33
    assert tokens[len(tokens) // 2] <= 0.0003
    assert tokens[-2] <= 0.0016


def test_what_is_left_for_the_cache_is_in_every_interval(scores: Scores) -> None:
    found = errors(scores, "vllm_kv_cache")
    assert len(found) >= 19
    assert found[-1] == 0


def test_a_log_that_names_no_card_says_what_loads_and_what_a_token_takes(scores: Scores) -> None:
    found = of_run(scores, "augment-qa-qwen2.5-3b")
    assert set(found) == {"weights", "vllm_kv_per_token"}
    assert found["vllm_kv_per_token"].estimated == (36 * 2 * 2 * 128 * 2,) * 2
    [left] = [one for one in scores.unscored if one.run.run == "augment-qa-qwen2.5-3b"]
    assert (left.reading.metric, left.reason) == (
        "vllm_kv_cache",
        "engine_pool: vLLM takes a share of the card: name a GPU",
    )


def test_parts_that_are_less_than_the_weights_are_not_set_apart(scores: Scores) -> None:
    reasons = {one.reason for one in scores.unscored if one.apart}
    assert reasons == {"less than nothing: memory was given back while graphs were captured"}


def test_a_reading_that_no_formula_follows_says_so(scores: Scores) -> None:
    left = {(one.reading.metric, one.reason) for one in scores.unscored}
    assert any(metric == "vllm_activations" and "encoders of images" in reason for metric, reason in left)
    assert any(metric == "vllm_outside_torch" and reason.startswith("what CUDA and NCCL") for metric, reason in left)
