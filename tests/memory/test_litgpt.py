"""Training with LitGPT: its own blocks, loss and loop, by hand and against its tables."""

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
from toolkit.memory.moments import Programs
from toolkit.memory.recording import programs_of
from toolkit.spec.setting import Lora, Setting, Stack

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


def test_other_families_are_refused() -> None:
    with pytest.raises(UnsupportedModel):
        as_litgpt(architecture_of(facts("google/gemma-2-2b"), "causal-lm", 2))
    built = as_litgpt(architecture_of(facts("microsoft/Phi-3-mini-4k-instruct"), "causal-lm", 2))
    assert as_litgpt(built) is built
    names = {module.path.rpartition(".")[2] for module in built.modules if module.quantized}
    assert names >= {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"}
