"""What is refused by name of adapters and packed weights under fully_shard, and what the libraries say themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.parallel.shard_covered import CUTS_BYTES
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Kernels, Lora, Parallel, Setting, Stack

MODEL = "Qwen/Qwen2.5-0.5B"
LORA = Setting(
    MODEL, "lora", "bf16", amp=True, batch_size=1, sequence_length=64, gradient_checkpointing="non-reentrant",
    lora=Lora(8, targets=("q_proj",)), parallel=Parallel(2, "fsdp2"), stack=Stack("transformers"),
)  # fmt: skip
BYTES, FLOATS = Parallel(2, "fsdp2", quant_storage="uint8"), Parallel(2, "fsdp2", quant_storage="bf16")
QLORA = replace(LORA, method="qlora", weights="nf4", parallel=FLOATS)
OLDER = {"accelerate": "1.13.0"}

REFUSED = {
    "older accelerate": (replace(LORA, stack=Stack("transformers", versions=OLDER)), "before accelerate 1.14"),
    "bytes with it": (replace(QLORA, parallel=BYTES, stack=Stack("trl", versions=OLDER)), CUTS_BYTES),
    "float32 elements in bfloat16": (
        replace(QLORA, parallel=Parallel(2, "fsdp2", quant_storage="fp32")),
        "casts what is packed in fp32 to bf16",
    ),
    "a loop in torch": (replace(QLORA, stack=Stack("plain")), "nf4 weights with fsdp2 by plain"),
    "GPTQ": (replace(QLORA, weights="gptq-int4", compute="fp16"), "gptq-int4 weights with fsdp2"),
    "copies": (replace(LORA, lora=Lora(8, modules_to_save=("lm_head",))), "copies of modules beside adapters"),
    "the embedding": (replace(LORA, lora=Lora(8, targets=("embed_tokens",))), "adapters outside of layers"),
    "a loss of kernels": (replace(LORA, stack=Stack("transformers", loss="fused")), "the loss fused with adapters"),
    "fused adapters": (replace(LORA, kernels=Kernels(adapters="axolotl")), "adapters in kernels"),
    "bytes for flat parameters": (
        replace(QLORA, parallel=Parallel(2, "fsdp", quant_storage="uint8")),
        "Must flatten tensors with uniform dtype",
    ),
}


@pytest.mark.parametrize(("setting", "reason"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_by_name(setting: Setting, reason: str) -> None:
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    with pytest.raises(UnsupportedRow) as refused:
        estimate(setting, facts)
    assert reason in str(refused.value)


@pytest.mark.parametrize("setting", [LORA, QLORA, replace(QLORA, parallel=BYTES)], ids=["lora", "floats", "bytes"])
def test_its_neighbours_are_estimated(setting: Setting) -> None:
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    assert estimate(setting, facts).allocated > 0


@pytest.mark.reference
def test_torch_says_so_of_parameters_of_bytes() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as refused:
        torch.nn.Parameter(torch.zeros(2, 1, dtype=torch.uint8))
    assert str(refused.value) in CUTS_BYTES


@pytest.mark.reference
def test_fsdp_says_so_of_bytes_beside_floats() -> None:
    torch = pytest.importorskip("torch")
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    store = pytest.importorskip("torch.testing._internal.distributed.fake_pg").FakeStore()
    layer = torch.nn.Linear(4, 4, bias=False)
    layer.packed = torch.nn.Parameter(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    torch.distributed.init_process_group("fake", store=store, rank=0, world_size=2)
    try:
        with pytest.raises(ValueError, match="Must flatten tensors with uniform dtype"):
            fsdp.FullyShardedDataParallel(layer, device_id=torch.device("cpu"), use_orig_params=True)
    finally:
        torch.distributed.destroy_process_group()
