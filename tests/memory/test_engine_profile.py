"""vLLM's profile run: by hand from its source and torch's, and against published start-up logs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.engines import GIB, context_of, estimated, served
from toolkit.memory.engines.limits import Limits, limits_of
from toolkit.memory.formula.engine.engine import card_of, profiled
from toolkit.memory.formula.engine.profile import sort_bytes
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
H100 = "H100 SXM5 80GB"
HOPPER_WORKSPACE = 32 << 20
OTHER_WORKSPACE = 8_519_680


def limits(setting: Setting, longest: int = 8192, *, windowed: bool = False) -> Limits:
    return limits_of(setting, card_of(setting), longest, windowed=windowed)


def test_sorting_by_hand() -> None:
    """torch SortStable.cu: values and int64 indices; then reversed indices, or twice int2 and keys; CUB has as much."""
    assert sort_bytes(256, 1000) == 256_000 * (4 + 8 + 8 + 4 + 8)
    assert sort_bytes(128, 1000) == 128_000 * 32
    assert sort_bytes(127, 1000) == 127_000 * (4 + 8 + 8 + 8 + 4 + 4 + 8)
    assert sort_bytes(1, 1000) == 1000 * (4 + 8) + 1000 * (8 + 4 + 8)
    assert sort_bytes(256, 1_000_000) == 256 * 1_000_000 * 12 + 1_000_000 * 20


def test_the_newer_engine_by_hand() -> None:
    """1,024 rows of logits in bfloat16 and float32, sorted; all hidden states, the last ones, and random ones."""
    least, most = profiled(context_of(served(LLAMA, H100, "0.11.0", max_model_len=16000)))
    logits, hidden = 1024 * 128_256, 4096 * 2
    assert most == logits * (2 + 4 + 32) + 8192 * hidden + 2 * 1024 * hidden + HOPPER_WORKSPACE
    assert least == logits * 10 + 8192 * hidden + 2 * 1024 * hidden + HOPPER_WORKSPACE


@pytest.mark.parametrize(
    ("model", "weights", "gpus", "printed"),
    [
        # Peak activation memory in logs of vLLM 0.11.0 on an H100 without FlashInfer's sampler, in GiB:
        # llm-d-incubation/llm-d-planner@e50305af90 docs/empirical-vllm-memory-results.md
        (LLAMA, "bf16", 1, 4.76),
        ("Qwen/Qwen3-0.6B", "bf16", 1, 5.56),
        ("Qwen/Qwen3-32B", "bf16", 2, 5.64),
        ("meta-llama/Llama-3.3-70B-Instruct", "fp8", 2, 4.84),
    ],
)
def test_sampling_is_what_published_logs_say(model: str, weights: str, gpus: int, printed: float) -> None:
    setting = served(model, H100, "0.11.0", weights=weights, gpus=gpus, max_model_len=16000)
    assert profiled(context_of(setting))[1] / GIB == pytest.approx(printed, rel=0.002)


@pytest.mark.parametrize(("longest", "peak"), [(20_000, 17.06), (29_000, 17.98)])
def test_the_older_engine_runs_a_layer_for_the_longest_prompt(longest: int, peak: float) -> None:
    """The log of vLLM issue 10517, RTX 3090: weights of 14.9888 GiB, and this peak of torch's memory."""
    found = profiled(context_of(served(LLAMA, "RTX 3090", "0.6.4", max_model_len=longest)))
    each = 2 * (3 * 14_336 + 3 * 4096)  # gate and up, their product; the residual, the input and what comes out
    assert found == (longest * each + OTHER_WORKSPACE,) * 2
    assert found[0] / GIB + 14.9888 == pytest.approx(peak, abs=0.0051)


def test_the_older_engine_samples_for_256_where_that_is_more() -> None:
    found = profiled(context_of(served(LLAMA, "RTX 3090", "0.7.3", max_model_len=4096)))
    assert found == (256 * 128_256 * 38 + 4096 * 4096 * 2 + OTHER_WORKSPACE,) * 2


def test_ada_without_kernels_for_8_bits_multiplies_in_float32() -> None:
    """Mistral 7B in FP8 on an L4 with vLLM 0.6.6, built with CUDA 12.1: 17.59 GiB after the start, 0.9 shared out.

    In 16 bits it were 19.46 GiB: the start gives back what the profile run took, of 8,192 tokens three products of gate
    and up in float32. Source: NitinDatta8/quantization-benchmarking results/combined_summary.csv.
    """
    mistral = "mistralai/Mistral-7B-Instruct-v0.3"
    in_8, in_16 = (
        profiled(context_of(served(mistral, "L4", "0.6.6", weights=weights, compute="fp16", max_model_len=8192)))
        for weights in ("fp8", "fp16")
    )
    assert in_8[1] == 8192 * (3 * 4 * 2 * 14_336 + 4096 * 5) + OTHER_WORKSPACE
    assert (in_8[1] - in_16[1]) / GIB == pytest.approx(19.46 - 17.59, abs=0.1)
    assert in_8[0] < in_8[1]  # one scale of a whole weight is taken by the product itself
    for gpu, version in ((H100, "0.6.6"), ("A100 80GB", "0.6.6"), ("L4", "0.8.0")):
        with_kernels = profiled(context_of(served(mistral, gpu, version, weights="fp8", max_model_len=8192)))
        assert with_kernels[1] < in_8[1], (gpu, version)


def test_few_sequences_leave_the_pass_as_the_peak() -> None:
    """4 rows are sorted together, and take less than 2,048 tokens in a layer."""
    context = context_of(served(LLAMA, "L4", "0.12.0", max_model_len=8192, max_num_seqs=4, enforce_eager=True))
    assert profiled(context) == (2048 * 2 * (3 * 14_336 + 3 * 4096) + OTHER_WORKSPACE,) * 2


def test_a_compiled_layer_is_between_what_it_cannot_do_without_and_what_is_written() -> None:
    written = profiled(context_of(served(LLAMA, "L4", "0.12.0", max_num_seqs=4, enforce_eager=True)))
    compiled = profiled(context_of(served(LLAMA, "L4", "0.12.0", max_num_seqs=4)))
    assert compiled[0] < compiled[1] == written[0]
    assert compiled[0] == 2048 * 2 * (3 * 14_336 + 4096) + OTHER_WORKSPACE


def test_4_bit_linears_write_weights_out_beside_two_results() -> None:
    """One weight of the attention at least, of the feed-forward at most, and a hidden state more for each token."""
    plain, packed = (
        profiled(context_of(served(LLAMA, "L4", "0.12.0", max_num_seqs=4, weights=weights)))
        for weights in ("bf16", "nf4")
    )
    added = [ours - theirs for ours, theirs in zip(packed, plain, strict=True)]
    assert added == [2048 * 2 * 4096 + 2 * 4096 * width for width in (4096, 14_336)]
    with pytest.raises(UnsupportedRow, match="copies in bf16"):
        profiled(context_of(served(LLAMA, "L4", "0.12.0", weights="nf4", compute="fp16")))


@pytest.mark.parametrize(
    ("gpu", "version", "tokens", "sequences", "newer"),
    [
        (H100, "0.11.0", 8192, 1024, True),
        ("A100 80GB", "0.11.0", 2048, 256, True),
        ("A100 80GB", "0.8.5", 8192, 1024, True),
        ("L4", "0.8.5", 2048, 256, True),
        ("L4", "0.8.3", 2048, 1024, True),
        (H100, "0.8.3", 8192, 1024, True),
        ("T4", "0.8.5", 8192, 256, False),
        ("T4", "0.11.0", 2048, 256, True),
        ("L4", "0.7.3", 8192, 256, False),
    ],
)
def test_defaults_by_release_and_card(gpu: str, version: str, tokens: int, sequences: int, *, newer: bool) -> None:
    assert limits(served(LLAMA, gpu, version)) == Limits(tokens, sequences, newer)


def test_long_prompts_are_cut_by_the_older_engine_unless_there_is_a_window() -> None:
    setting = served(LLAMA, "L4", "0.7.3")
    assert [limits(setting, length).tokens for length in (1000, 32_768, 32_769)] == [2048, 32_768, 2048]
    assert limits(setting, 40_000, windowed=True).tokens == 40_000
    assert limits(served(LLAMA, "L4", "0.6.4"), 40_000).tokens == 512
    assert limits(served(LLAMA, "L4", "0.7.3", max_num_batched_tokens=100), 40_000) == Limits(100, 100, newer=False)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (served(LLAMA, "L4", None), "state stack.vllm"),
        (served(LLAMA, "L4", "0.6.3"), "no formula for the profile run of vLLM 0.6.3"),
        (served(LLAMA, "L4", "0.20.0"), "0.6.4 to 0.19 are covered"),
        (served(LLAMA, "L4", "0.8.4"), "the defaults of vLLM 0.8.4 are not known"),
        (served(LLAMA, "24 GB", "0.8.5"), "GPUs with 24 GB differ in the engine"),
        (served(LLAMA, "MI300X", "0.11.0"), "cards of AMD"),
        (served("Qwen/Qwen2.5-VL-7B-Instruct", "L4", "0.11.0"), "encoders of images"),
        (served("deepseek-ai/DeepSeek-V2-Lite", "L4", "0.11.0", max_model_len=512), "the layers of deepseek_v2"),
    ],
)
def test_what_is_not_known_is_refused_by_name_and_said(setting: Setting, reason: str) -> None:
    context = context_of(setting)
    with pytest.raises(UnsupportedRow, match=reason):
        profiled(context)


def test_layers_without_a_gate_sample_as_the_log_says() -> None:
    """vLLM 0.6.4.post1, opt-125m: 0.71 GiB at the peak, 0.2389 of them weights (xlisp/jimw-vllm@98a3a2a5)."""
    found = profiled(context_of(served("facebook/opt-125m", "GTX 1070", "0.6.4.post1", compute="fp16", weights="fp16")))
    assert found[0] == found[1] == 256 * 50_272 * 38 + 2048 * 768 * 2 + OTHER_WORKSPACE
    assert found[0] / GIB + 0.2389 == pytest.approx(0.71, abs=0.006)


def test_a_note_says_what_is_not_known() -> None:
    notes = estimated(served(LLAMA, "A100 80GB", None, max_model_len=8192)).notes
    assert notes[-1].startswith("not known how much of the pool is for keys and values: vLLM's engine")
    known = estimated(served(LLAMA, "A100 80GB", "0.7.3", max_model_len=8192)).notes
    assert any("tokens" in note and "sequences of 8,192" in note for note in known)


def test_limits_that_are_said_need_no_defaults() -> None:
    setting = served(LLAMA, "L4", "0.8.4", max_num_seqs=8, max_num_batched_tokens=512)
    assert limits(setting) == Limits(512, 8, newer=True)
    assert limits(replace(setting, gpu=H100)) == Limits(512, 8, newer=True)
