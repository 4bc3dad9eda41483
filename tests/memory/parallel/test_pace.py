"""Whether the GPU surely comes later to a layer's work than the code that asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.context import Context
from toolkit.memory.estimate import estimate
from toolkit.memory.parallel.pace import HOST_SECONDS, host_is_ahead
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.replay.other_streams import other_streams
from toolkit.memory.replay.reserved import reserved_on_card
from toolkit.spec.settings.setting import Parallel, Setting, Stack

LARGE = Setting(
    "meta-llama/Llama-3.1-405B", "full", "bf16", compute="bf16", batch_size=1, sequence_length=4096,
    gradient_checkpointing="non-reentrant", attention="flash", optimizer="adamw", optimizer_implementation="fused",
    gpu="H100 80GB",
    parallel=Parallel(64, "fsdp", offload=True, sync_module_states=True, wraps_embeddings=True),
    stack=Stack("plain", result="next", versions={"torch": "2.4.0", "transformers": "4.44.2"}),
)  # fmt: skip
"""As train_llm.py of the published distributed-training-guide trains on 64 GPUs."""

LAYER = 2 * 16_384 * (16_384 + 1_024) + 3 * 16_384 * 53_248
"""Weights in the matrices of a layer of Llama 3.1 405B, by its config: 16,384 wide, eight groups of heads of 128."""

H100 = 989.5e12
"""Operations a second by NVIDIA's data sheet of the H100 SXM, in bf16 without sparsity."""


def _context(setting: Setting) -> Context:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    context = estimate(setting, facts).context
    assert context is not None
    return context


def test_a_layer_of_405b_takes_the_gpu_longer_than_its_code() -> None:
    assert pytest.approx(0.0528, rel=0.01) == 4 * LAYER * 4_096 / H100
    assert host_is_ahead(_context(LARGE))


def test_it_goes_by_the_tokens_of_a_gpu_and_its_peak() -> None:
    enough = HOST_SECONDS * H100 / (4 * LAYER)
    assert not host_is_ahead(_context(replace(LARGE, sequence_length=int(enough * 0.99))))
    assert host_is_ahead(_context(replace(LARGE, sequence_length=int(enough * 1.01))))
    assert host_is_ahead(_context(replace(LARGE, sequence_length=int(enough * 0.51), batch_size=2)))
    assert not host_is_ahead(_context(replace(LARGE, sequence_length=int(enough * 1.01), gpu="B200")))


@pytest.mark.parametrize(
    "other",
    [{"gpu": None}, {"gpu": "Radeon VII"}, {"model": "meta-llama/Llama-3.1-8B"}, {"model": "Qwen/Qwen3-235B-A22B"}],
    ids=["no card", "a card of which no peak is known", "thin layers", "experts, of which a token meets few"],
)
def test_where_nothing_says_it(other: dict[str, str | None]) -> None:
    assert not host_is_ahead(_context(replace(LARGE, **other)))  # type: ignore[arg-type]  # a name each


def test_the_layer_before_still_has_its_unit_while_the_gpu_is_in_it() -> None:
    behind, unknown = _context(LARGE), _context(replace(LARGE, gpu=None))
    assert isinstance(behind.sharing, Spread)
    least, most = other_streams(behind, behind.sharing)
    low, high = other_streams(unknown, behind.sharing)
    assert most == high
    assert 0 <= least - low - behind.sharing.layer < 2 << 20  # a segment of whole 2 MiB


def test_what_rank_0_of_64_reserved_is_inside_an_interval_of_no_more_than_a_tenth() -> None:
    facts = load_model(LARGE.model)
    assert isinstance(facts, ModelFacts)
    low, high = reserved_on_card(estimate(LARGE, facts))
    assert low <= 77.9e9 <= high
    assert high - low < 0.1 * 77.9e9
