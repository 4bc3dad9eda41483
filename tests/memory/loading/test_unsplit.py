"""What the allocator does not split off as a model is loaded, against torch's rules replayed request by request."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.allocator.caching import CachingAllocator
from toolkit.memory.architecture import architecture_of
from toolkit.memory.architecture.model import Module, ModuleKind, Tensor
from toolkit.memory.estimate import estimate
from toolkit.memory.loading.unsplit import moved_requests, unsplit_bytes
from toolkit.memory.weights.quantization import Part
from toolkit.memory.weights.storage import StoredTensor, storage_of
from toolkit.spec.settings.setting import Setting, Stack

MIB = 2**20
KIB = 2**10

OLD = Stack(versions={"transformers": "4.46.0"})


def unsplit(model: str, weights: str, version: str | None = "4.46.0", **more: Any) -> float:
    """In MiB."""
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    stack = Stack(versions={"transformers": version} if version else {})
    setting = Setting(model, weights=weights, stack=stack, **{"method": "inference", **more})
    return unsplit_bytes(storage_of(architecture_of(facts, "causal-lm", 0), setting), setting) / MIB


def test_weights_of_135_mib_count_as_136() -> None:
    """48 layers of three weights of 5120 x 13824 in 16 bit: 135 MiB each; embedding and head have 1,485 MiB each."""
    assert unsplit("Qwen/Qwen2.5-14B-Instruct", "bf16") == 3 * 48 + 2


def test_weights_of_whole_segments_leave_nothing() -> None:
    """5120 x 27648 are 270 MiB; 1,485 MiB of embedding and head are one less than a multiple of 2."""
    assert unsplit("Qwen/Qwen2.5-32B-Instruct", "bf16") == 2


@pytest.mark.parametrize(
    ("weights", "version", "loads_into_one_block"),
    [
        ("bf16", "4.49.0", False),
        ("bf16", "4.50.0", True),
        ("bf16", None, True),
        ("awq-int4", "4.50.3", True),
        ("awq-int4", "4.51.3", False),
        ("awq-int4", "5.0.0", True),
        ("fp8", "4.51.3", False),
        ("fp8", "4.52.0", True),
        ("nf4", "4.46.0", True),
    ],
)
def test_versions_that_load_into_one_block(weights: str, version: str | None, *, loads_into_one_block: bool) -> None:
    assert (unsplit("Qwen/Qwen2.5-14B-Instruct", weights, version) == 0) is loads_into_one_block


def test_half_a_block_serves_half_of_a_quantized_model() -> None:
    """Transformers 4.51 takes half of the bytes in one block, into which embedding and head go first."""
    before, after = (unsplit("Qwen/Qwen2.5-72B-Instruct", "awq-int4", version) for version in ("4.49.0", "4.51.3"))
    assert before / 2 < after < before * 0.6


def test_half_of_the_experts_leave_half_a_mib_of_each_segment() -> None:
    """Qwen3-30B-A3B in FP8: 48 x 128 x 3 experts of 1.5 MiB, 13 of which fill a segment of 20 MiB but for 0.5 MiB."""
    experts = 48 * 128 * 3
    assert unsplit("Qwen/Qwen3-30B-A3B", "fp8", "4.51.3") == pytest.approx(experts / 2 / 13 * 0.5, rel=0.04)


def test_a_trainer_moves_a_model_tensor_by_tensor() -> None:
    """BERT in float16: a layer has four weights of 1.125 MiB and two of 4.5 MiB.

    A segment of 20 MiB serves the first layer and the four of the next: 2 MiB are left, which the first of the third
    takes whole, for only 0.875 MiB would be left.
    """
    facts = load_model("google-bert/bert-base-uncased")
    assert isinstance(facts, ModelFacts)
    setting = Setting("google-bert/bert-base-uncased", "full", "fp16", head="masked-lm")
    tensors = storage_of(architecture_of(facts, "masked-lm", 0), setting)
    runs = [*moved_requests(tensors, MIB)]
    assert [len(layers) for layers in runs if layers] == [1, 12, 1]
    assert [size / MIB for size in runs[1][0]] == [1.125] * 4 + [4.5] * 2
    allocator = CachingAllocator()
    asked = [size for layers in runs for layer in layers for size in layer]
    for size in asked:
        allocator.allocate(size)
    moved = unsplit_bytes(tensors, setting)
    assert moved == allocator.allocated - sum(asked) == pytest.approx(7_513_088)
    of_trl = replace(setting, stack=Stack("trl"))
    assert unsplit_bytes(tensors, of_trl) == 0


@pytest.mark.parametrize(
    ("batch", "length", "attention", "printed"),
    [(8, 512, "eager", 3_629_401_000), (16, 256, "eager", 2_874_426_000), (16, 512, "eager", 6_964_659_000)],
)
def test_published_peaks_of_training_have_the_ends_of_blocks(
    batch: int, length: int, attention: str, printed: int
) -> None:
    """Pull request 28802 of transformers: without the ends of the weights' blocks each is 11 MB less than was read."""
    setting = Setting(
        "google-bert/bert-base-uncased", "full", "fp16", head="masked-lm", compute="fp16", gradients="fp16",
        optimizer="none", batch_size=batch, sequence_length=length, attention=attention, gpu="A100 80GB",
        stack=Stack("plain", "sum", {"torch": "2.2.0", "transformers": "4.41.0"}),
    )  # fmt: skip
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    found = estimate(setting, facts).allocated
    assert 0 < printed - found < 4_000_000


sizes = st.integers(1, 40_000).map(lambda kib: kib * KIB)
kinds_of_layers = st.lists(st.lists(sizes, min_size=1, max_size=6), min_size=1, max_size=2)


@settings(max_examples=60, deadline=None)
@given(kinds=kinds_of_layers, count=st.integers(1, 40), outside=st.lists(sizes, max_size=3))
def test_it_is_what_the_allocator_counts_beyond_the_requests(
    kinds: list[list[int]], count: int, outside: list[int]
) -> None:
    tensors = [_stored(f"a{index}.weight", size, ("",)) for index, size in enumerate(outside)]
    starts = [count * index for index in range(len(kinds) + 1)]
    for layer_sizes, (first, last) in zip(kinds, pairwise(starts), strict=True):
        layers = tuple(map(str, range(first, last)))
        tensors += [_stored(f"m.{{}}.w{index}", size, layers) for index, size in enumerate(layer_sizes)]
    allocator = CachingAllocator()
    for size in [*outside, *(size for one in kinds for _ in range(count) for size in one)]:
        allocator.allocate(size)
    asked = sum(tensor.allocated for tensor in tensors)
    setting = Setting("", "inference", "bf16", stack=OLD)
    assert unsplit_bytes(tensors, setting) == allocator.allocated - asked


def _stored(path: str, size: int, layers: tuple[str, ...]) -> StoredTensor:
    tensor = Tensor("w", (size // 2,))
    return StoredTensor(Module(path, ModuleKind.LINEAR, (tensor,), layers), tensor, Part("", "bf16", size // 2, True))
