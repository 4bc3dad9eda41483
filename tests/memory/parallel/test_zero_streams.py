"""ZeRO 3 on streams of its own: what fused losses hold, what waits for the GPU, and what is reserved in all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.parallel.test_zero import ORDER, SIZES
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.parallel.zero_gather import Gathering, gathered, gathering_moves
from toolkit.memory.parallel.zero_moments import Zero3
from toolkit.memory.parallel.zero_visits import EMBEDDING, LOSS
from toolkit.memory.replay.partitioned import beside_computing
from toolkit.memory.replay.reserved import replayed
from toolkit.spec.settings.setting import Kernels, Parallel, Setting, Stack, Zero

GIB = 1 << 30
LAYER = 2 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
"""Bytes of the matrices of a layer in 16 bits; norms stay gathered."""
HEAD = 2 * 128256 * 4096
VERSIONS = {"torch": "2.13.0", "transformers": "5.14.1", "deepspeed": "0.19.2", "liger-kernel": "0.8.0"}


def benchmark(length: int, *, overlap: bool = True, batch: int = 1) -> Setting:
    """As stas00/ml-engineering's insights/when-to-upgrade-gpus/benchmark.py runs it at 744d01e."""
    return Setting(
        "meta-llama/Llama-3.1-8B", "full", "bf16", compute="bf16", batch_size=batch, sequence_length=length,
        gradient_checkpointing="non-reentrant", attention="flash", kernels=Kernels(liger=True), gpu="H200",
        parallel=Parallel(8, "zero3", "optimizer", Zero(overlap_comm=overlap, contiguous_gradients=True)),
        stack=Stack("plain", "fused", VERSIONS),
    )  # fmt: skip


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def sharing(setting: Setting) -> Zero3:
    context = of(setting).context
    assert context is not None
    assert isinstance(context.sharing, Zero3)
    return context.sharing


def test_what_is_read_outside_its_module_is_there_throughout() -> None:
    without = tuple(visit for visit in ORDER if visit.weights[0].name != "head")
    found = gathered(without, SIZES, {"head": 40})
    assert (found["last layer"], found[LOSS], found["embedding"]) == (20 + 40, 40, 50 + 40)
    fused = dict(sharing(benchmark(8192)).places)
    plain = dict(sharing(replace(benchmark(8192), stack=Stack("plain", "cross-entropy", VERSIONS))).places)
    assert (fused[EMBEDDING], plain[EMBEDDING]) == (2 * HEAD, HEAD)  # the embedding is as large


def test_whatever_is_gathered_is_let_go_of_in_every_step() -> None:
    moves = gathering_moves(Gathering(ORDER, replace(SIZES, prefetch_bucket_size=25, max_reuse_distance=81), {}))
    there: dict[str | int, int] = {}
    most = 0
    for key, size in moves:
        if size:
            assert key not in there
            there[key] = size
        else:
            there.pop(key, None)
        most = max(most, sum(there.values()))
    assert there == {}
    assert most == max(gathered(ORDER, replace(SIZES, prefetch_bucket_size=25, max_reuse_distance=81)).values())


def test_weights_of_a_layer_wait_where_attention_does_and_all_of_them_elsewhere() -> None:
    """At one row of positions FlashAttention's code looks at them, and so waits; else nothing does before the loss."""
    one, two = sharing(benchmark(8192)), sharing(benchmark(8192, batch=2))
    assert (one.waiting, one.gradients_in_flight) == (LAYER, pytest.approx(LAYER, rel=1e-4))
    assert two.waiting == 32 * LAYER + HEAD  # and the embedding, which is as large
    old = replace(benchmark(8192), stack=Stack("plain", "fused", {**VERSIONS, "transformers": "4.43"}))
    assert sharing(old).waiting == two.waiting
    assert two.gradients_in_flight == 4 * 500_000_000 * 2
    assert sharing(benchmark(8192, overlap=False)).in_flight == 0


def test_the_pools_of_streams_add_up() -> None:
    beside, alone = of(benchmark(8192)), of(benchmark(8192, overlap=False))
    assert beside.allocated == alone.allocated == alone.reserved[0]
    assert beside.reserved[0] > beside.allocated


def test_weights_that_are_gathered_on_the_stream_that_computes_never_wait() -> None:
    """In a batch of two nothing waits for the GPU: on a stream of its own all 32 layers may be gathered anew."""
    context = of(benchmark(8192, batch=2, overlap=False)).context
    beside = of(benchmark(8192, batch=2)).context
    assert context is not None
    assert beside is not None
    (low, high), _ = beside_computing(context, sharing(context.setting))
    (least, most), _ = beside_computing(beside, sharing(beside.setting))
    assert low == high
    assert most - least > 31 * LAYER


READ = {32768: 25.8, 65536: 37.5, 131072: 66.5, 196608: 95.7, 262144: 124.5}
MISSING = {32768: 0.15}
"""GiB that no cause was found for: the header of these readings says so."""


@pytest.mark.parametrize("length", READ)
def test_what_eight_gpus_were_read_to_reserve(length: int) -> None:
    low, high = replayed(of(benchmark(length)))
    assert low <= READ[length] * GIB <= high + MISSING.get(length, 0) * GIB
    assert high - low < 0.2 * READ[length] * GIB


def test_no_pool_has_blocks_of_another_whatever_order_hooks_let_go_in() -> None:
    """By hand at 8,192 tokens: each stream's own peak, of which no two need be at one moment.

    On the stream that computes there are, as the loss adds to the output weight's gradient, a GPU's weights, the
    bucket, the inputs of 32 layers, and that gradient three times and once more in float32 but for the first; what is
    gathered is at most both matrices outside of layers; what is shared out is a copy of nearly a bucket.
    """
    low, _ = replayed(of(benchmark(8192)))
    weights, bucket, inputs = 2 * 8_030_261_248 // 8, 2 * 500_000_000, 32 * 8192 * 4096 * 2
    computes = weights + bucket + inputs + HEAD + HEAD + 2 * HEAD
    assert low >= computes + 2 * HEAD + 0.8 * bucket


def test_a_model_that_was_made_before_comes_to_the_gpu_whole() -> None:
    """8.03 billion parameters of two bytes, and an eighth of the embedding; within zero.Init it comes in parts."""
    short = benchmark(1024)
    before = replace(short, parallel=replace(short.parallel, loads_whole=True))
    _, parts = replayed(of(short))
    low, whole = replayed(of(before))
    assert parts < 2 * 8_030_261_248 < low <= whole
    assert 2 * 8_030_261_248 + HEAD // 8 <= whole < 2 * 8_030_261_248 + HEAD // 8 + 0.3 * GIB
