"""4-bit weights under ZeRO 3, by hand from the shapes of Llama 3.1 8B: DeepSpeed cuts them as any other tensor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.zero_gather import gathered
from toolkit.memory.parallel.zero_settings import Sizes
from toolkit.memory.parallel.zero_visits import Visit, Weight
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack, Zero

MIB = 1 << 20
GPUS = 8
LINEARS = 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096 + 3 * 14336 * 4096)
NORMS, ENDS = 65 * 4096, 2 * 128_256 * 4096
SCALES = LINEARS // 64 * 4 + 32 * 7 * 16 * 4
"""A float32 for each 64 values, and a table of 16 of every linear: no parameters, so that every GPU has all."""

QLORA = Setting(
    "meta-llama/Llama-3.1-8B", "qlora", "nf4", compute="bf16", amp=True, batch_size=1, sequence_length=64,
    gradient_checkpointing="non-reentrant", lora=Lora(8, targets=("q_proj",)), gpu="A100 80GB",
    stack=Stack("transformers"),
)  # fmt: skip


def packed(storage: str, **said: bool) -> Parallel:
    return Parallel(GPUS, "zero3", zero=Zero(), quant_storage=storage, **said)


def of(parallel: Parallel) -> Estimate:
    facts = load_model(QLORA.model)
    assert isinstance(facts, ModelFacts)
    return estimate(replace(QLORA, parallel=parallel), facts)


def row(found: Estimate, phase: PhaseName, name: str) -> int:
    seen = found.ledger.phase(phase)
    assert seen is not None
    return next((one.bytes for one in seen.rows if one.name == name), 0)


@pytest.mark.parametrize("storage", ["uint8", "bf16"])
def test_each_gpu_has_a_part_of_what_is_packed_and_all_scales(storage: str) -> None:
    """Norms of 4,096 elements stay gathered beside their parts, as DeepSpeed's threshold has it."""
    parts = LINEARS // 2 // GPUS + 2 * (NORMS + ENDS) // GPUS
    weights = row(of(packed(storage)), PhaseName.LOAD, "weights")
    assert abs(weights - (parts + SCALES + 2 * NORMS)) < MIB // 4


def test_all_is_on_every_gpu_before_it_is_cut() -> None:
    """transformers quantizes without zero.Init: the whole model, and the first part of the embedding."""
    whole = of(packed("uint8", loads_whole=True))
    load = whole.ledger.phase(PhaseName.LOAD)
    assert load is not None
    expected = LINEARS // 2 + SCALES + 2 * (NORMS + ENDS) + ENDS // GPUS
    assert abs(load.total - expected) < MIB


def test_limits_are_in_elements_and_memory_in_bytes() -> None:
    """Half as many elements of two bytes: the same memory for each weight, but more of them within a bucket."""
    sizes = Sizes(
        reduce_bucket_size=1, prefetch_bucket_size=20, param_persistence_threshold=0, max_live_parameters=1000,
        max_reuse_distance=0, sub_group_size=1, buffers=1,
    )  # fmt: skip
    in_bytes = gathered([Visit((Weight(name, 20, item=1),)) for name in "abcd"], sizes)[""]
    in_pairs = gathered([Visit((Weight(name, 10, item=2),)) for name in "abcd"], sizes)[""]
    assert in_bytes == 20 + 20  # a weight, and one ahead, which has no buffer
    assert in_pairs == 40 + 2 * 20 + 20  # a buffer, the two that were copied out of it, and one ahead


def test_what_is_packed_in_another_float_is_refused() -> None:
    with pytest.raises(UnsupportedRow, match="casts what is packed in fp32 to bf16"):
        of(packed("fp32"))
