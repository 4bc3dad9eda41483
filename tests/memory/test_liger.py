"""Models with Liger's kernels against the same in the library itself, with Triton's kernels left out.

liger-kernel 0.8.0 over transformers 5.23: each `apply_liger_kernel_to_*` without its losses, on two layers of a model
on meta tensors, with two labels a sequence, 2 sequences of 4,096 tokens, FlashAttention; the bytes are those of a
traced step's backward pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.memory.trace.cut import cut
from tests.memory.trace.methods import METHODS
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.trainers.liger import FAMILIES, PATCHED
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Kernels, Lora, Setting, Stack

ON = Kernels(liger=True)
FLASH: dict[str, Any] = {"attention": "flash"}
CASES: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "weights": "bf16", **FLASH},
    "checkpoints": {"method": "full", "weights": "bf16", "gradient_checkpointing": "non-reentrant", **FLASH},
    "autocast": {**METHODS["full under autocast"], "gradient_checkpointing": "non-reentrant", **FLASH},
    "lora": {**METHODS["lora"], "gradient_checkpointing": "reentrant", "lora": Lora(8, 16, "all-linear")},
}
BACKWARD = {
    "Qwen/Qwen3-0.6B": (1_972_298_240, 1_633_743_360, 3_043_564_032, 1_104_496_128),
    "mistralai/Mistral-7B-v0.1": (6_126_385_664, 5_420_709_376, 10_168_907_264, 3_874_039_296),
    "google/gemma-2-2b": (6_286_843_392, 6_019_503_104, 12_021_754_880, 5_818_829_312),
    "google/gemma-2b": (6_888_078_336, 6_093_002_752, 11_996_410_880, 3_681_572_864),
    "google/gemma-3-1b-it": (3_336_064_512, 2_881_557_504, 5_745_843_200, 1_847_790_592),
    "microsoft/phi-4": (10_817_302_016, 10_076_731_904, 19_311_617_536, 6_016_222_720),
    "microsoft/Phi-4-mini-instruct": (6_761_573_888, 6_595_134_976, 13_173_024_256, 3_490_059_776),
    "HuggingFaceTB/SmolLM3-3B": (4_311_267_840, 3_707_786_752, 6_787_084_800, 2_505_262_592),
    "allenai/OLMo-2-1124-7B": (7_680_647_680, 6_872_129_024, 13_204_863_488, 4_095_636_992),
    "allenai/Olmo-3-1025-7B": (7_678_829_056, 6_870_310_400, 13_200_013_824, 4_178_916_864),
    "mistralai/Mixtral-8x7B-v0.1": (26_997_456_896, 26_997_489_664, 54_026_354_688, 15_261_253_120),
    "Qwen/Qwen3-30B-A3B": (13_025_844_736, 13_025_877_504, 25_905_249_792, 7_238_130_176),
    "zai-org/GLM-4-9B-0414": (9_168_634_368, 8_402_059_776, 16_610_787_840, 4_971_359_744),
}
OF_GPT_OSS = (34_681_443_840, 29_937_371_136, 61_341_477_888, 18_115_292_160)
"""The same of openai/gpt-oss-20b by eager attention, which is all that transformers has for it."""

IN_A_MODEL = {
    "Qwen/Qwen3-0.6B": (2_174_460_416, 1_734_816_256, 3_043_564_032, 1_155_253_760),
    "allenai/OLMo-2-1124-7B": (8_485_954_048, 7_274_782_208, 13_382_024_704, 4_229_854_720),
    "allenai/Olmo-3-1025-7B": (8_484_135_424, 7_272_963_584, 13_378_387_456, 4_313_134_592),
    "Qwen/Qwen3-30B-A3B": (13_176_839_680, 13_176_872_448, 26_056_244_736, 7_313_627_648),
    "zai-org/GLM-4-9B-0414": (9_168_634_368, 8_402_059_776, 16_610_787_840, 4_971_359_744),
    "mistralai/Mistral-7B-v0.1": (6_126_451_200, 5_420_742_144, 10_168_907_264, 3_874_072_064),
    "google/gemma-2-2b": (6_286_958_080, 6_019_503_104, 12_021_754_880, 5_818_845_696),
    "microsoft/phi-4": (10_817_302_016, 10_076_731_904, 19_311_617_536, 6_016_222_720),
}
"""The same with `apply_liger_kernel_to_*(model=...)` on a model that is there, each traced in a process of its own."""


def backward(model: str, case: str, kernels: Kernels = ON, **changed: Any) -> int:
    workload = {"batch_size": 2, "sequence_length": 4096, "head": "sequence-classification", "labels": 2}
    setting = Setting(model, **{**workload, **CASES[case], **changed})
    found = estimate(replace(setting, kernels=kernels), cut(model, 2)).ledger.phase(PhaseName.BACKWARD)
    assert found is not None
    return as_traced(found)


@pytest.mark.parametrize("model", BACKWARD)
@pytest.mark.parametrize("case", CASES)
def test_backward_is_that_of_the_library(model: str, case: str) -> None:
    traced = BACKWARD[model][list(CASES).index(case)]
    assert backward(model, case) == pytest.approx(traced, rel=0.0015)


@pytest.mark.parametrize("model", IN_A_MODEL)
@pytest.mark.parametrize("case", CASES)
def test_backward_of_kernels_put_into_a_model_is_that_of_the_library(model: str, case: str) -> None:
    traced = IN_A_MODEL[model][list(CASES).index(case)]
    assert backward(model, case, Kernels(liger="instance")) == pytest.approx(traced, rel=0.0015)


@pytest.mark.parametrize(("case", "traced"), list(zip(CASES, OF_GPT_OSS, strict=True)))
def test_experts_of_gpt_oss_stay_as_they_are(case: str, traced: int) -> None:
    assert backward("openai/gpt-oss-20b", case, attention="eager") == pytest.approx(traced, rel=0.0025)


def test_a_layer_keeps_less_than_by_the_models_own_code() -> None:
    """Without it Mistral's norms keep float32 copies, and the feed-forward its activated gate: a third more in all."""
    without = backward("mistralai/Mistral-7B-v0.1", "full", Kernels())
    assert without > 1.2 * backward("mistralai/Mistral-7B-v0.1", "full")


def test_a_family_that_it_changes_otherwise_is_refused_and_one_that_it_does_not_know_runs_as_ever() -> None:
    assert not FAMILIES & PATCHED
    exaone = "LGAI-EXAONE/EXAONE-4.0-1.2B"
    with pytest.raises(UnsupportedRow, match="Liger's kernels in exaone4"):
        estimate(Setting(exaone, method="full", weights="bf16", kernels=ON), cut(exaone, 2))
    pythia = Setting("EleutherAI/pythia-410m", method="full", weights="bf16")
    facts = cut("EleutherAI/pythia-410m", 2)
    assert estimate(replace(pythia, kernels=ON), facts).phases == estimate(pythia, facts).phases


@pytest.mark.parametrize(
    ("model", "case", "said"),
    [("Qwen/Qwen3-0.6B", "full", 1), ("Qwen/Qwen3-0.6B", "checkpoints", 0), ("mistralai/Mistral-7B-v0.1", "full", 0)],
)
def test_norms_that_a_trainer_leaves_as_they_are_are_told(model: str, case: str, said: int) -> None:
    setting = Setting(model, **CASES[case], kernels=ON)
    assert sum(note.startswith("Liger: ") for note in estimate(setting, cut(model, 2)).notes) == said
    for other in (replace(setting, kernels=Kernels(liger="instance")), replace(setting, stack=Stack("plain"))):
        assert not any(note.startswith("Liger: ") for note in estimate(other, cut(model, 2)).notes)


@pytest.mark.parametrize(("release", "bytes_a_weight"), [("0.6.1", 0), ("0.6.2", 2 + 4), ("0.8.0", 2 + 4)])
def test_what_a_chunk_adds_to_the_output_weights_gradient_is_made_float32_since_a_release(
    release: str, bytes_a_weight: int
) -> None:
    """`grad_weight += torch.mm(...).float()`: the product and its copy; before, addmm with `out=grad_weight`.

    Source: liger_kernel/ops/fused_linear_cross_entropy.py at the tags v0.6.1, v0.6.2 and v0.8.0.
    """
    model, tokens = "meta-llama/Llama-3.1-8B", 512
    stack = Stack("plain", "fused", {"liger-kernel": release})
    setting = Setting(
        model, method="full", weights="bf16", sequence_length=tokens, stack=stack, gradient_checkpointing="reentrant"
    )
    phase = estimate(setting, cut(model, 1)).ledger.phase(PhaseName.FORWARD_END)
    assert phase is not None
    rows = {row.name: row.bytes for row in phase.rows}
    assert rows.get("new_gradient", 0) == bytes_a_weight * 128256 * 4096
