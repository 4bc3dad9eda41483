"""What a prompt and a growing cache leave behind, against what PyTorch reserved on an A100.

Llama-2-7B in fp16, 256 tokens and 512 new ones, as huggingface/optimum-benchmark read it (running-llamas,
Llama-7b/full_report.csv at 5d4128c), in MB rounded down.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.allocator.caching import Block, CachingAllocator
from toolkit.memory.allocator.card import capacity_of
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.replay import generation
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.generation import FOLLOWED, generation_events
from toolkit.memory.replay.orders import peak
from toolkit.memory.replay.repeats import Repeats
from toolkit.memory.replay.reserved import replayed, reserved_on_card
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Setting, Stack

STACK = Stack(versions={"torch": "2.1.1+cu118", "transformers": "4.35.2"})
CLOSE = 0.0005
MB = 10**6


def _estimate(
    batch: int, generated: int = 512, stack: Stack = STACK, attention: str = "eager", size: str = "7b"
) -> Estimate:
    facts = load_model(f"meta-llama/Llama-2-{size}-hf")
    assert isinstance(facts, ModelFacts)
    lengths = {"batch_size": batch, "sequence_length": 256, "generated_length": generated}
    return estimate(
        Setting(
            facts.id, method="inference", weights="fp16", compute="fp16", attention=attention, stack=stack, **lengths
        ),
        facts,
    )


@pytest.mark.parametrize(("batch", "read"), [(16, 84_420), (64, 84_420)])
def test_a_card_that_gets_full_had_reserved_all_but_a_request(batch: int, read: int) -> None:
    """As it was read, and against the allocator itself, which gives segments back when a request finds no room."""
    known = _estimate(batch)
    known = replace(known, setting=replace(known.setting, gpu="A100 80GB"))
    low, high = reserved_on_card(known)
    assert low <= read * MB <= high
    assert high - low < 0.06 * low
    capacity = capacity_of("A100 80GB")
    assert capacity is not None
    assert known.context is not None
    events = generation_events(known.context, programs_of(known.context))
    for room in capacity:
        assert low <= _filled(events, room) <= high


def _filled(events: Events, room: int) -> int:
    """What is reserved of a card when it is first found to be full."""
    allocator, blocks = CachingAllocator(room), dict[int, Block]()
    for event in events.order:
        if event < 0:
            allocator.free(blocks.pop(-event))
        else:
            blocks[event] = allocator.allocate(events.sizes[event])
            if allocator.retries:
                return allocator.peak_reserved
    return 0


def _close(known: Estimate, read: int) -> None:
    low, high = replayed(known)
    assert low * (1 - CLOSE) <= read * MB
    assert high * (1 + CLOSE) >= read * MB
    assert high - low < 0.12 * low


@pytest.mark.parametrize(("batch", "read"), [(1, 14_480), (2, 15_617), (4, 24_960)])
def test_a_cache_leaves_segments_behind(batch: int, read: int) -> None:
    _close(_estimate(batch), read)


@pytest.mark.parametrize(("batch", "attention", "read"), [
    (1, "flash", 13_767), (2, "flash", 13_998), (4, "flash", 14_625), (8, "flash", 15_667),
    (2, "eager", 14_006), (16, "eager", 17_779), (64, "eager", 30_440),
])  # fmt: skip
def test_a_prompt_leaves_segments_behind(batch: int, attention: str, read: int) -> None:
    _close(_estimate(batch, 0, attention=attention), read)


@pytest.mark.parametrize(("batch", "attention", "read"), [(1, "eager", 26_562), (1, "flash", 26_552)])
def test_ends_of_blocks_are_reserved_once(batch: int, attention: str, read: int) -> None:
    """Weights of 135 MiB (5,120 x 13,824) are in segments of 136: 120 in all, as of Llama-2-13B (Llama-13b)."""
    known = _estimate(batch, 0, attention=attention, size="13b")
    assert known.context is not None
    assert known.context.sums.unsplit >= 3 * 40 * (1 << 20)
    low, high = replayed(known)
    assert low <= (read + 1) * MB
    assert high >= read * MB
    assert high - low < 0.005 * low


@pytest.mark.parametrize(("version", "ahead"), [("4.49.0", False), ("4.50.0", True)])
def test_only_newer_releases_allocate_the_whole_model_ahead(version: str, ahead: bool) -> None:
    """Of transformers: caching_allocator_warmup came with 4.50. The whole block is then cut, against the allocator."""
    known = _estimate(1, 0, Stack(versions={"transformers": version}), "flash", "13b")
    assert known.context is not None
    events = generation_events(known.context, programs_of(known.context))
    weights = sum(events.sizes[event] for event in events.order[: events.loaded])
    allocator, blocks = CachingAllocator(), dict[int, Block]()
    allocator.free(allocator.allocate(weights))
    for event in events.order:
        if event < 0:
            allocator.free(blocks.pop(-event))
        else:
            blocks[event] = allocator.allocate(events.sizes[event])
    low, high = replayed(known)
    assert (low <= allocator.peak_reserved <= high) is ahead


def test_the_logits_of_the_prompt_are_there_while_the_second_token_is_decoded() -> None:
    """Versions that form them all keep them until the next result has their name: in float32, 256 x 32,000 of them."""
    known = _estimate(1, 2)
    assert known.context is not None
    events = generation_events(known.context, programs_of(known.context))
    [logits] = [block for block, size in enumerate(events.sizes) if size == 256 * 32_000 * 4]
    later = events.order[events.order.index(logits) : events.order.index(-logits)]
    layer = 257 * 32 * 128 * 2  # keys of all tokens, in float16
    assert sum(event > 0 and events.sizes[event] == layer for event in later) == 2 * 32


def test_the_first_product_takes_the_workspace() -> None:
    """Where a norm in float32 was, of whose memory cuBLAS then takes a part."""
    known = _estimate(1, 0)
    assert known.context is not None
    events = generation_events(known.context, programs_of(known.context))
    [workspace] = [block for block, size in enumerate(events.sizes) if size == known.context.workspace]
    before = events.order[events.loaded : events.order.index(workspace)]
    assert any(event < 0 for event in before)
    assert sum(event > 0 and events.sizes[event] == 256 * 4096 * 2 for event in before) >= 2  # embeddings, first query


def test_small_tensors_are_left_out_where_few_tokens_are_followed_with_them() -> None:
    known = _estimate(1, 100)
    assert known.context is not None
    events = generation_events(known.context, programs_of(known.context))
    one = 4096 * 2  # a token's place in the stream
    assert 0 < sum(size == one for size in events.sizes) < 40 * FOLLOWED * 32


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("stack", [STACK, Stack()], ids=["hands the cache on whole", "lets go layer by layer"])
def test_a_cache_that_grows_at_once_grows_as_layer_by_layer(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, batch: int
) -> None:
    """Small keys at first, and large ones from some token on or always; each token by itself, or as the one before."""
    known = _estimate(batch, 200, stack)
    assert known.context is not None
    programs = programs_of(known.context)
    at_once = generation_events(known.context, programs)
    asked: list[object] = []

    def by_layer(*caches: object) -> bool:
        asked.append(caches)
        return False

    assert any(one.linked for one in at_once.moved)
    monkeypatch.setattr(generation, "_is_plain", by_layer)
    monkeypatch.setattr(Repeats, "again", lambda *_: 0)
    by_itself = generation_events(known.context, programs)
    assert (by_itself.sizes, by_itself.order) == (at_once.sizes, at_once.order)
    assert (by_itself.loaded, by_itself.settled) == (at_once.loaded, at_once.settled)
    assert len(asked) > 100


@pytest.mark.parametrize("generated", [2, 3, 5, 6, 200, 1_000])
def test_the_last_token_is_followed_with_all_its_tensors(generated: int) -> None:
    known = _estimate(4, generated, Stack())
    assert known.context is not None
    assert peak(generation_events(known.context, programs_of(known.context))) == pytest.approx(
        known.allocated, rel=0.005
    )


def test_what_is_reserved_at_least_is_in_whole_segments() -> None:
    """Token ids and the like, which no event is of, take less than a segment: they may lie where one has room."""
    stack = Stack("plain", versions={"torch": "2.12.0", "transformers": "4.46.3"})
    setting = Setting(
        "Qwen/Qwen2.5-1.5B", "inference", "fp16", compute="fp16", sequence_length=512, generated_length=256,
        gpu="GeForce RTX 3060 12GB", stack=stack,
    )  # fmt: skip
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    assert replayed(estimate(setting, facts))[0] % 2**21 == 0
