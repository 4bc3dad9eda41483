"""What loading a model adds in vLLM: by hand from torch's allocator, and what start-up logs say to four digits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.engines import GIB, estimated, served
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.quantization import UnsupportedStorage
from toolkit.spec.settings.setting import Setting

MIB = 2**20


def loaded(setting: Setting) -> dict[str, int]:
    phase = estimated(setting).ledger.phase(PhaseName.LOAD)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def test_ends_of_blocks_by_hand() -> None:
    """Qwen3 4B: gate and up take 95 MiB as one, of segments of 96; down 47.5 of 48; its embedding 741.875 of 742."""
    found = loaded(served("Qwen/Qwen3-4B", "L4", "0.12.0"))
    assert 95 * MIB == 2 * 2560 * 9728 * 2
    assert 741.875 * MIB == 151_936 * 2560 * 2
    assert found["unsplit_blocks"] == 36 * (MIB + MIB // 2) + MIB // 8


@pytest.mark.parametrize(
    ("setting", "printed"),
    [
        # "Model loading took X GiB", in start-up logs: specs/published/vllm_logs has where each was published.
        (served("Qwen/Qwen3-4B", "L4", "0.12.0"), 7.5552),
        (served("Qwen/Qwen2.5-14B-Instruct", "A100 40GB", "0.7.3"), 27.5681),
        (served("Qwen/Qwen2.5-14B-Instruct", "L4", "0.9.2", gpus=4), 6.9461),
        (served("Qwen/Qwen2.5-7B-Instruct", "A100 80GB", "0.10.1.1", gpus=2), 7.1217),
        (served("Qwen/Qwen3-32B", "H100", "0.10.0", gpus=8), 7.6871),
        (served("Qwen/Qwen3-235B-A22B", "H100", "0.10.0", gpus=8, weights="fp8"), 27.6656),
        (served("Qwen/Qwen3-Coder-30B-A3B-Instruct", "H100", "0.10.2"), 56.9342),
        (
            served("Qwen/Qwen2.5-14B-Instruct", "RTX A5000", "0.13.0", weights="awq-int4", compute="fp16"),
            9.3795,
        ),
        (served("Qwen/Qwen2.5-72B-Instruct", "RTX PRO 6000 Blackwell", "0.17.0", weights="nf4"), 41.55),
        (served("facebook/opt-125m", "8 GB", "0.6.4", weights="fp16", compute="fp16"), 0.2389),
        (served("meta-llama/Meta-Llama-3-8B", "L4", "0.11.0", gpus=4), 3.7418),
    ],
)
def test_loading_takes_what_logs_say(setting: Setting, printed: float) -> None:
    """Within 1 in 10,000 and the last digit: scales of caches and workspaces of kernels are not counted."""
    assert sum(loaded(setting).values()) / GIB == pytest.approx(printed, rel=1e-4, abs=5e-5)


def test_kernels_decide_whether_zeros_of_gptq_stay() -> None:
    """Llama 3.1 8B: 32 layers of 218,103,808 weights, in groups of 128, of which each output has a zero of 4 bits."""
    model = "meta-llama/Llama-3.1-8B-Instruct"
    marlin, machete = (
        loaded(served(model, gpu, "0.11.0", weights="gptq-int4"))["weights"] for gpu in ("RTX 4090", "H100 SXM5 80GB")
    )
    weights = 32 * 218_103_808
    assert machete - marlin == weights // 128 // 2
    whole = 2 * 128_256 * 4096 * 2 + 65 * 4096 * 2
    assert marlin == weights // 2 + weights // 128 * 2 + whole
    awq = loaded(served(model, "RTX 4090", "0.11.0", weights="awq-int4"))["weights"]
    assert awq == machete


def test_an_order_of_inputs_is_of_what_is_one_product() -> None:
    """Llama 3.1 8B: four products a layer, of 4,096, 4,096, 4,096 and 14,336 inputs, with two int32 for each input."""
    plain = served("meta-llama/Llama-3.1-8B-Instruct", "RTX 4090", "0.11.0", weights="gptq-int4")
    ordered = replace(plain, desc_act=True)
    more = 32 * (3 * 4096 + 14_336) * 2 * 4
    assert loaded(ordered)["weights"] - loaded(plain)["weights"] == more
    assert loaded(replace(ordered, group_size=-1)) == loaded(replace(plain, group_size=-1))
    with pytest.raises(UnsupportedStorage, match="except for Marlin on one GPU"):
        estimated(replace(ordered, gpu="H100 SXM5 80GB"))


def test_scales_of_4_bit_weights_are_plain_however_they_were_quantized() -> None:
    """Llama 3.1 8B: 32 layers of 218,103,808 weights, two a byte, a float32 for each 64 and 16 for each linear."""
    once = served("meta-llama/Llama-3.1-8B-Instruct", "RTX 4090", "0.11.0", weights="nf4")
    found = loaded(once)
    weights = 32 * 218_103_808
    whole = 2 * 128_256 * 4096 * 2 + 65 * 4096 * 2
    assert found["weights"] == weights // 2 + weights // 64 * 4 + 32 * 7 * 16 * 4 + whole
    assert loaded(replace(once, double_quant=True)) == found


def test_scales_have_blocks_of_their_own_after_the_weights() -> None:
    """Qwen2.5 32B: 135 MiB of gate and up leave one of 136, down 0.5 of 68, queries, keys and values 0.5 of 18."""
    found = loaded(served("Qwen/Qwen2.5-32B-Instruct", "RTX PRO 6000 Blackwell", "0.17.0", weights="nf4"))
    assert 135 * MIB == 2 * 5120 * 27_648 // 2
    assert found["unsplit_blocks"] >= 64 * 2 * MIB
    assert sum(found.values()) / GIB == pytest.approx(19.39, abs=0.0051)


def test_experts_are_packed_as_linears_are_and_keep_their_zeros() -> None:
    model = "Qwen/Qwen3-30B-A3B"
    packed = loaded(served(model, "RTX 4090", "0.11.0", weights="gptq-int4"))["weights"]
    experts = 48 * 128 * 3 * 2048 * 768
    heads = 48 * 2048 * (2 * 4096 + 2 * 512)
    rest = 2 * 151_936 * 2048 + 48 * (2 * 2048 + 2 * 128 + 128 * 2048) + 2048
    expected = experts // 2 + experts // 128 * 2 + experts // 256 + heads // 2 + heads // 128 * 2 + rest * 2
    assert packed == expected


@pytest.mark.parametrize(
    ("setting", "refusal", "reason"),
    [
        (served("Qwen/Qwen2.5-7B-Instruct", None, "0.11.0", weights="gptq-int4"), UnsupportedStorage, "state gpu"),
        (served("Qwen/Qwen2.5-7B-Instruct", "80 GB", "0.11.0", weights="gptq-int4"), UnsupportedStorage, "differ"),
        (served("openai/gpt-oss-20b", "H100", "0.11.0", weights="mxfp4"), UnsupportedStorage, "other packages"),
        (served("Qwen/Qwen2.5-7B-Instruct", "L4", "0.11.0", weights="fp4"), UnsupportedRow, "fp4 weights"),
        (served("Qwen/Qwen2.5-7B-Instruct", "L4", "0.11.0", weights="nf4", gpus=2), UnsupportedStorage, "several GPUs"),
        (served("Qwen/Qwen2.5-7B-Instruct", "L4", "0.9.1", weights="nf4"), UnsupportedStorage, "before 0.9.2"),
        (served("Qwen/Qwen3-30B-A3B", "L4", "0.11.0", weights="nf4"), UnsupportedStorage, "scales of experts"),
    ],
)
def test_what_is_not_known_is_refused_by_name(setting: Setting, refusal: type[Exception], reason: str) -> None:
    with pytest.raises(refusal, match=reason):
        estimated(setting)


@pytest.mark.parametrize("gpus", [1, 4])
def test_experts_in_4_bits_are_padded_for_marlin(gpus: int) -> None:
    """gpt-oss-120b: 36 layers of 128 experts, 2,880 wide both ways: 3,072 by 2,944, or a fourth of 2,880 up to 768."""
    found = loaded(served("openai/gpt-oss-120b", "A100 80GB", "0.10.1", weights="mxfp4", gpus=gpus))["weights"]
    width = {1: 2944, 4: 768}[gpus]
    experts = 36 * 128 * (3 * 3072 * width * 17 // 32 + 2 * (2 * width + 3072))
    matrices = 36 * (2880 * 5120 + 5120 + 4096 * 2880 + 64) + 2 * 201_088 * 2880
    whole = 36 * (2880 + 128 * 2880 + 128 + 2 * 2880) + 2880  # the bias of what comes out, routers, norms
    assert found == experts + 2 * (matrices // gpus + whole)
    printed = {1: None, 4: 17.2217}[gpus]  # dennislee22/vLLM-benchmarking@b474d1e0, vLLM 0.10.1.1
    setting = served("openai/gpt-oss-120b", "A100 80GB", "0.10.1.1", weights="mxfp4", gpus=gpus)
    assert printed is None or sum(loaded(setting).values()) / GIB == pytest.approx(printed, rel=0.001)


def test_experts_are_cut_by_their_width() -> None:
    one, two = (loaded(served("Qwen/Qwen3-30B-A3B", "H200", "0.11.0", gpus=gpus))["weights"] for gpus in (1, 2))
    whole = 2 * (48 * (2 * 2048 + 2 * 128 + 128 * 2048) + 2048)  # norms and routers
    assert two - whole == (one - whole) // 2
