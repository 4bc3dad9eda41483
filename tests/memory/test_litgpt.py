"""Training and generating with LitGPT: its own blocks, loss and loop, by hand and against its tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture import architecture_of
from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.architecture.litgpt import as_litgpt
from toolkit.memory.contexts import contexts_of
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.loading.fabric import Made, unsplit
from toolkit.memory.programs.programs import Programs
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Lora, Setting, Stack

HIDDEN, RANK = 4096, 8
STABLELM = Setting(
    "stabilityai/stablelm-base-alpha-3b",
    "lora",
    "bf16",
    compute="bf16",
    amp=False,
    lora=Lora(RANK, targets=("q_proj", "v_proj"), dropout=0.05),
    attention="sdpa",
    stack=Stack("litgpt"),
)
QUANTIZED = replace(STABLELM, method="qlora", weights="nf4", double_quant=False, optimizer="paged_adamw")
OLD = Stack("litgpt", versions={"bitsandbytes": "0.42.0"})
NEW = Stack("litgpt", versions={"bitsandbytes": "0.43.2"})


def facts(model: str) -> ModelFacts:
    found = load_model(model)
    assert isinstance(found, ModelFacts)
    return found


def programs(setting: Setting) -> Programs:
    [context] = contexts_of(setting, facts(setting.model))
    return programs_of(context)


def test_a_layer_keeps_what_litgpt_keeps() -> None:
    # Traced: LitGPT's own code at commit 8641822, tensors saved by two layers less those saved by one, in units of a
    # bfloat16 hidden state: qkv 3, turned q and k 2, what zero_pad copies 2, attended 1, x 1, dropped 1, up 4.
    kept = programs(STABLELM).layers[1].kept
    token = {row: size.token if hasattr(size, "token") else size[0] for row, size in kept.items()}
    assert token == {
        "residual_stream": 2 * HIDDEN,
        "norm_states": 2 * 2 * 4,
        "attention_states": 5 * 2 * HIDDEN,
        "adapter_states": 3 * 2 * HIDDEN + HIDDEN,  # and the mask of dropout, a byte each
        "attention_output": 2 * HIDDEN + 32 * 4,  # and the logarithms of flash attention, one for each head
        "feed_forward_states": 4 * 2 * HIDDEN,
    }


@pytest.mark.parametrize(
    ("stack", "kept"),
    [(OLD, {"norm_states": 4 * HIDDEN, "attention_output": 2 * HIDDEN, "feed_forward_states": 8 * HIDDEN}), (NEW, {})],
)
def test_nodes_keep_the_inputs_of_products_before_bitsandbytes_0_43_2(stack: Stack, kept: dict[str, int]) -> None:
    pinned = programs(replace(QUANTIZED, stack=stack)).layers[1].pinned
    assert {row: size.token if hasattr(size, "token") else size[0] for row, size in pinned.items()} == kept


def test_the_last_pass_is_there_until_the_next_has_its_logits() -> None:
    tokens, layers, vocabulary = 512, 16, 50_688
    setting = replace(QUANTIZED, batch_size=1, sequence_length=tokens)
    old, new = (
        estimate(replace(setting, stack=stack), facts(setting.model)).ledger.phase(PhaseName.FORWARD_END)
        for stack in (OLD, NEW)
    )
    assert old is not None
    assert new is not None
    # Two norms, attention, the activation: 2 + 2 + 2 + 8 bytes. The first layer's norms need no gradient.
    pins = tokens * ((layers - 1) * 14 + 2) * HIDDEN
    normed = tokens * 2 * HIDDEN  # the input of the output weight; in this pass there is a name for it anyway
    assert old.total - new.total == 2 * pins + normed
    rows = {row.name: row.bytes for row in old.rows}
    assert rows["logits_float32"] == tokens * vocabulary * 4


# Lightning-AI/litgpt config_hub/finetune/README.md: torch.cuda.max_memory_allocated() / 1e9, two decimals; batches of
# up to 512 tokens, rank 32 on queries and values; bitsandbytes 0.42.0.
READ = (
    ("tiiuae/falcon-7b", 1, 16.69, 9.44),
    ("meta-llama/Llama-2-7b-hf", 2, 19.77, 13.68),
    ("mistralai/Mistral-7B-v0.1", 2, 20.66, 14.29),
    ("stabilityai/stablelm-base-alpha-3b", 1, 8.58, 5.24),
)


@pytest.mark.parametrize(("model", "batch", "plain", "quantized"), READ)
def test_training_needs_what_was_read(model: str, batch: int, plain: float, quantized: float) -> None:
    lora = Lora(32, targets=("q_proj", "v_proj"), dropout=0.05)
    for base, read in ((STABLELM, plain), (replace(QUANTIZED, stack=OLD), quantized)):
        run = replace(base, model=model, batch_size=batch, sequence_length=512, gradient_accumulation=8, lora=lora)
        assert estimate(run, facts(model)).allocated / 1e9 == pytest.approx(read, rel=0.006)


GENERATION = Setting(
    "meta-llama/Llama-2-13b-hf",
    "inference",
    "bf16",
    compute="bf16",
    sequence_length=6,
    generated_length=50,
    attention="sdpa",
    gpu="A100 SXM4 40GB",
    stack=Stack("litgpt", versions={"litgpt": "0.1.0", "bitsandbytes": "0.41.1"}),
)
LLAMA_3 = replace(GENERATION, model="meta-llama/Meta-Llama-3-8B", sequence_length=1000, generated_length=24)
MIB = 1 << 20

# Lightning-AI/litgpt tutorials/resource-tables.md (commit 8641822, "Hello, my name is" and 50 tokens) and quantize.md
# (256 tokens): torch.cuda.max_memory_allocated() / 1e9. The forms are bf16, nf4, nf4 with double quantization.
GENERATED = (
    ("stabilityai/stablelm-base-alpha-3b", 50, 7.30, 3.20, 3.04),
    ("meta-llama/Llama-2-7b-hf", 50, 13.52, 4.57, 4.26),
    ("meta-llama/Llama-2-13b-hf", 50, 26.21, 8.32, 7.72),
    ("tiiuae/falcon-40b", 50, None, 26.55, 24.63),
    ("tiiuae/falcon-7b", 256, 14.50, 5.72, 5.38),
)


@pytest.mark.parametrize(("model", "tokens", "plain", "quantized", "nested"), GENERATED)
def test_generation_needs_what_was_read(
    model: str, tokens: int, plain: float | None, quantized: float, nested: float
) -> None:
    whole = replace(GENERATION, model=model, generated_length=tokens)
    packed = replace(whole, weights="nf4", double_quant=False)
    for run, read in ((whole, plain), (packed, quantized), (replace(packed, double_quant=True), nested)):
        if read is not None:
            assert estimate(run, facts(model)).allocated / 1e9 == pytest.approx(read, rel=0.004)


def generation_row(setting: Setting, phase: PhaseName, row: str) -> int:
    found = estimate(setting, facts(setting.model)).ledger.phase(phase)
    assert found is not None
    return sum(one.bytes for one in found.rows if one.name == row)


def test_weights_are_made_one_by_one_and_count_as_whole_blocks() -> None:
    # 13824 x 5120 x 2 bytes are 135 MiB in a segment of 136: 3 such weights in each of 40 layers. In float32 they fill
    # 270, and 32000 x 5120 x 4 bytes of embedding and output weight 625 of 626. All weights of 7B are of even MiB.
    wide, even = replace(GENERATION, weights="fp32", compute="fp32"), "meta-llama/Llama-2-7b-hf"
    assert generation_row(GENERATION, PhaseName.LOAD, "unsplit_blocks") == 3 * 40 * MIB
    assert generation_row(wide, PhaseName.LOAD, "unsplit_blocks") == 2 * MIB
    assert generation_row(replace(GENERATION, model=even), PhaseName.LOAD, "unsplit_blocks") == 0


@pytest.mark.parametrize(("version", "heads"), [("0.5.4", 32), ("0.5.5", 8)])
def test_the_cache_has_room_for_all_tokens_from_the_start(version: str, heads: int) -> None:
    run = replace(LLAMA_3, stack=Stack("litgpt", versions={"litgpt": version}))
    whole = 32 * 2 * heads * 128 * (1000 + 24) * 2
    assert generation_row(run, PhaseName.PREFILL, "kv_cache") == whole
    assert generation_row(run, PhaseName.DECODE, "kv_cache") == whole
    assert generation_row(run, PhaseName.DECODE, "kv_cache_growth") == 0


def test_one_head_for_all_queries_is_never_repeated() -> None:
    run = replace(GENERATION, model="tiiuae/falcon-7b")
    assert generation_row(run, PhaseName.PREFILL, "kv_cache") == 32 * 2 * 64 * (6 + 50) * 2


def test_keys_are_repeated_as_they_are_taken_from_the_cache() -> None:
    run = replace(LLAMA_3, sequence_length=16, generated_length=20_000, stack=Stack("litgpt"))
    # Of 20,015 tokens, keys and values, for each of 32 heads of 128 (repeat_interleave): and one token's own states.
    repeated = 2 * (16 + 20_000 - 1) * 32 * 128 * 2
    assert 0 <= generation_row(run, PhaseName.DECODE, "attention_states") - repeated < 100_000
    older = replace(run, stack=Stack("litgpt", versions={"litgpt": "0.5.4"}))
    assert generation_row(older, PhaseName.DECODE, "attention_states") < 100_000


def test_logits_of_the_whole_prompt_are_made_float32() -> None:
    vocabulary, tokens = 128_256, 1000
    assert generation_row(LLAMA_3, PhaseName.PREFILL, "logits") == vocabulary * tokens * 2
    assert generation_row(LLAMA_3, PhaseName.PREFILL, "logits_float32") == vocabulary * tokens * 4


def test_the_output_weight_is_dequantized_for_the_prompt() -> None:
    run = replace(GENERATION, model="meta-llama/Llama-2-7b-hf", weights="nf4", double_quant=False)
    # In float16, then in bfloat16 beside it; for one token bitsandbytes multiplies by the weight as it is.
    assert generation_row(run, PhaseName.PREFILL, "dequantized_weight") == 2 * 2 * 32_000 * 4096
    assert generation_row(run, PhaseName.DECODE, "dequantized_weight") == 0


def test_more_layers_never_leave_less() -> None:
    made = (Made(4096 * 4096, 2, (4096 * 2048, 4096 * 256, 64)),)
    few, many = (unsplit((), made, count) for count in (512, 1024))
    assert 0 <= few <= many


STANDING = frozenset({
    "weights", "kv_cache", "rotary_caches", "unsplit_blocks", "allocator_rounding", "cublas_workspace",
})  # fmt: skip


# Traced: LitGPT's own code on meta tensors, two layers and a vocabulary of 512, 24 tokens to come: the most storage
# beyond what stands before the prompt. It takes the mask's rows whole and uses a part: 24 bytes a token are its rest.
@pytest.mark.parametrize(
    ("model", "tokens", "version", "traced"),
    [
        ("meta-llama/Meta-Llama-3-8B", 4000, "0.5.12", 610_080_768),
        ("meta-llama/Meta-Llama-3-8B", 4000, "0.4.0", 642_848_768),
        ("tiiuae/falcon-40b", 1500, "0.5.12", 297_990_656),
        ("tiiuae/falcon-7b", 1500, "0.5.12", 166_662_656),
        ("microsoft/phi-2", 1500, "0.5.12", 94_854_656),
    ],
)
def test_a_prompt_takes_what_litgpts_own_code_takes(model: str, tokens: int, version: str, traced: int) -> None:
    known = facts(model)
    config = {**known.config, "vocab_size": 512, "num_hidden_layers": 2}
    small = replace(known, config=config, config_hash=f"two layers of {model}")
    stack = Stack("litgpt", versions={"litgpt": version})
    run = replace(LLAMA_3, model=model, sequence_length=tokens, generated_length=24, stack=stack)
    phase = estimate(run, small).ledger.phase(PhaseName.PREFILL)
    assert phase is not None
    taken = sum(row.bytes for row in phase.rows if row.name not in STANDING)
    assert traced - taken == pytest.approx(24 * tokens if version == "0.5.12" else 0, abs=1024)


def test_other_families_are_refused() -> None:
    with pytest.raises(UnsupportedModel):
        as_litgpt(architecture_of(facts("google/gemma-2-2b"), "causal-lm", 2))
    built = as_litgpt(architecture_of(facts("microsoft/Phi-3-mini-4k-instruct"), "causal-lm", 2))
    assert as_litgpt(built) is built
    names = {module.path.rpartition(".")[2] for module in built.modules if module.quantized}
    assert names >= {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"}
