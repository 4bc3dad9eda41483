"""Training under FSDP: what streams beside the one that computes have reserved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.replay.other_streams import opened, other_streams
from toolkit.memory.replay.reserved import reserved_on_card, shown_by_card
from toolkit.memory.replay.sharded import sharded_runs
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Kernels, Lora, Parallel, Setting, Stack

MIB = 1 << 20
GIB = 1 << 30
ALL = ("down_proj", "gate_proj", "k_proj", "q_proj", "up_proj", "v_proj")


@pytest.mark.parametrize(
    ("sizes", "segments"),
    [([], 0), ([MIB] * 3, 4), ([3 * MIB] * 7, 40), ([12 * MIB, 13 * MIB], 26), ([MIB // 2, 3 * MIB], 22)],
    ids=["nothing", "small ones share 2 MiB", "larger ones 20 MiB", "large ones nothing", "each its own pool"],
)
def test_what_is_there_together(sizes: list[int], segments: int) -> None:
    assert opened(sizes) == segments * MIB


def _setting(model: str, batch: int, *, offload: bool = False) -> Setting:
    """As the template command of fsdp_qlora's benchmarks_03_2024.md, and the defaults of its train.py."""
    return Setting(
        model, "qlora", "nf4", double_quant=True, compute="bf16", batch_size=batch, sequence_length=2048,
        gradient_checkpointing="reentrant", lora=Lora(64, 16, ALL, 0.1), gpu="RTX 3090",
        parallel=Parallel(2, "fsdp", offload=offload, sync_module_states=True),
        stack=Stack("plain", versions={"transformers": "4.37.2"}, result="step"),
    )  # fmt: skip


def test_parts_of_adapters_gradients_stay_and_adapters_are_gathered() -> None:
    facts = load_model("meta-llama/Llama-2-7b-hf")
    assert isinstance(facts, ModelFacts)
    context = estimate(_setting(facts.id, 1), facts).context
    assert context is not None
    spread = context.sharing
    assert isinstance(spread, Spread)
    # Rank 64: nine of 64 x 4,096 and three of 64 x 11,008 in each of 32 layers, of which a GPU has half, in float32.
    parts = 32 * 64 * (9 * 4_096 + 3 * 11_008) * 4 // 2
    low, high = other_streams(context, spread)
    units = spread.root + spread.layer
    assert 0 <= low - units - parts < 16 * MIB  # units are rounded to 2 MiB, and segments are not quite full
    ahead_and_in_flight = 2 * spread.layer
    assert 20 * MIB <= high - low - ahead_and_in_flight < 40 * MIB  # adapters of 2.7 MiB, and of 1 MiB


@pytest.mark.parametrize(
    ("model", "batch", "offload", "read"),
    [
        ("meta-llama/Llama-2-7b-hf", 1, False, 5.21),
        ("meta-llama/Llama-2-7b-hf", 4, False, 11.22),
        ("meta-llama/Llama-2-7b-hf", 10, False, 20.97),
        ("01-ai/Yi-34B", 2, False, 23.05),
        ("meta-llama/Llama-2-70b-hf", 2, True, 14.92),
    ],
)
def test_what_two_gpus_were_read_to_reserve(model: str, batch: int, offload: bool, read: float) -> None:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    low, high = reserved_on_card(estimate(_setting(model, batch, offload=offload), facts))
    assert low <= (read + 0.005) * GIB
    assert high >= (read - 0.005) * GIB


@pytest.mark.parametrize(
    ("stack", "kinds"),
    [
        (Stack("trl"), {True}),
        (Stack("transformers", versions={"accelerate": "0.25.0"}), {True}),
        (Stack("transformers", versions={"accelerate": "0.24.1"}), {True, False}),
        (Stack("plain"), {True, False}),
    ],
    ids=["trl", "accelerate", "accelerate before", "a loop of one's own"],
)
def test_states_are_those_of_tensors_where_a_trainer_asks_for_them(stack: Stack, kinds: set[bool]) -> None:
    """use_orig_params: of a flat parameter there are two states, of the tensors in it many, for each as many bytes."""
    facts = load_model("Qwen/Qwen2.5-0.5B")
    assert isinstance(facts, ModelFacts)
    setting = Setting(facts.id, "full", "bf16", optimizer_states="bf16", parallel=Parallel(2, "fsdp"), stack=stack)
    context = estimate(setting, facts).context
    assert context is not None
    assert isinstance(context.sharing, Spread)
    units = len(context.architecture.layers) and sum(kind.count for kind in context.architecture.layers) + 1
    many = {len(list(run.states())) > units for run in sharded_runs(context, programs_of(context), context.sharing)}
    assert many == kinds
    for run in sharded_runs(context, programs_of(context), context.sharing):
        assert sum(one.elements for one in run.states()) == pytest.approx(context.sums.elements, rel=1e-4)


def test_under_mixed_precision_parts_are_cast_on_streams_of_their_own() -> None:
    """A float32 part is cast before it is gathered, and the part of a gradient once it is shared out.

    Of Mistral 7B the root has two of 32,000 x 4,096 and a norm, each layer 218,112,000 elements; two GPUs share them.
    """
    facts = load_model("mistralai/Mistral-7B-v0.1")
    assert isinstance(facts, ModelFacts)
    root, layer = 2 * 32_000 * 4_096 + 4_096, 218_112_000
    setting = Setting(
        facts.id, "full", "bf16", compute="bf16", amp=True, batch_size=1, sequence_length=512, gpu="A100 80GB",
        gradient_checkpointing="non-reentrant", parallel=Parallel(2, "fsdp"), stack=Stack("transformers"),
    )  # fmt: skip

    def least(amp: bool) -> int:
        context = estimate(replace(setting, amp=amp), facts).context
        assert context is not None
        assert isinstance(context.sharing, Spread)
        return other_streams(context, context.sharing)[0]

    gathered, parts = 2 * (root + 2 * layer), (root + 32 * layer) // 2  # in backward the next layer is there, too
    rounded = 2 * MIB * (3 + 33 + 2)  # of what is gathered, of parts of gradients, of what is cast
    assert 0 <= least(amp=False) - gathered - 2 * parts < rounded
    assert 0 <= least(amp=True) - gathered - 4 * parts - 2 * root // 2 - 2 * root // 2 < rounded


def _gptq(model: str, batch: int, *, whole: bool) -> Setting:
    """As fms-acceleration ran accelerated-peft-autogptq on two A100 at f1895b7."""
    stack = Stack("trl", versions={"torch": "2.2.2", "transformers": "4.39.3", "trl": "0.8.6", "peft": "0.11.1"})
    return Setting(
        model, "qlora", "gptq-int4", compute="fp16", amp=True, batch_size=batch, sequence_length=4096, group_size=-1,
        gradient_checkpointing="reentrant", attention="flash", kernels=Kernels(gptq="triton"), gpu="A100 80GB",
        optimizer_implementation="foreach", gradients="fp32", optimizer_states="fp32",
        lora=Lora(16, 16, ("q_proj", "k_proj", "v_proj", "o_proj"), 0.0, "fp32"),
        parallel=Parallel(2, "fsdp", loads_whole=whole), stack=stack,
    )  # fmt: skip


def test_blocks_of_a_model_that_was_there_whole_are_too_small_for_what_follows() -> None:
    """A card read 78.5 GiB: of the 33 GiB that all 4-bit weights take next to nothing is of use to activations."""
    facts = load_model("meta-llama/Llama-2-70b-hf")
    assert isinstance(facts, ModelFacts)
    low, high = shown_by_card(estimate(_gptq(facts.id, 2, whole=True), facts))
    assert low <= 78.5 * GIB <= high
    _, without = shown_by_card(estimate(_gptq(facts.id, 2, whole=False), facts))
    assert without < 55 * GIB


def _cookbook(*, limits: bool | None, torch: str = "2.5.0", form: str = "non-reentrant") -> Setting:
    """LoRA of Llama 2 7B by a loop in torch, as llama-cookbook has it."""
    return Setting(
        "meta-llama/Llama-2-7b-hf", "lora", "bf16", compute="bf16", amp=False, batch_size=4, sequence_length=2048,
        gradient_checkpointing=form, lora=Lora(8, 32, ("q_proj", "v_proj"), 0.05), attention="sdpa",
        parallel=Parallel(4, "fsdp", limit_all_gathers=limits), stack=Stack("plain", versions={"torch": torch}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "torch", "flights"),
    [
        (True, "2.0.1", 1),
        (False, "2.5.0", 64),
        (None, "2.0.1", 64),
        (None, "2.1.0", 1),
        (None, "2.1.0.dev20230623", 64),
    ],
)
def test_units_are_gathered_as_fast_as_they_are_asked_for_where_nothing_limits_them(
    limits: bool | None, torch: str, flights: int
) -> None:
    """32 layers, forward and backward; with a limit one that was let go of may still be there."""
    facts = load_model("meta-llama/Llama-2-7b-hf")
    assert isinstance(facts, ModelFacts)
    context = estimate(_cookbook(limits=limits, torch=torch), facts).context
    assert context is not None
    assert isinstance(context.sharing, Spread)
    low, high = other_streams(context, context.sharing)
    ahead = 1
    assert 0 <= high - low - (flights + ahead) * context.sharing.layer < (flights + 8) * 2 * MIB


def test_checkpoints_of_somebody_else_leave_keys_and_values_in_the_result() -> None:
    """4 x 2,048 tokens: 4 GiB of 32 layers in bfloat16, of the last result and of this one, and their logits.

    Reentrant checkpoints are the model's own, which turns its cache off.
    """
    facts = load_model("meta-llama/Llama-2-7b-hf")
    assert isinstance(facts, ModelFacts)
    _, high = reserved_on_card(estimate(_cookbook(limits=True), facts))
    _, without = reserved_on_card(estimate(_cookbook(limits=True, form="reentrant"), facts))
    cached = 32 * 2 * 4 * 2048 * 4096 * 2
    assert cached == 4 * GIB
    assert without + cached <= high <= without + 2 * cached + 2 * GIB


@pytest.mark.parametrize(
    ("stack", "said", "sends"),
    [
        (Stack("trl"), None, True),
        (Stack("transformers"), None, True),
        (Stack("plain"), None, False),
        (Stack("plain"), True, True),
        (Stack("trl"), False, False),
    ],
)
def test_a_unit_is_sent_to_the_others_as_it_is_shared_out(stack: Stack, said: bool | None, sends: bool) -> None:
    """A layer of Llama 2 7B: four of 32 MiB and two of 86 go together, for they are over 250 MiB; one of 86 alone."""
    facts = load_model("meta-llama/Llama-2-7b-hf")
    assert isinstance(facts, ModelFacts)
    lora = Lora(64, 16, ("q_proj",), 0.0)
    parallel = Parallel(2, "fsdp", sync_module_states=said)
    context = estimate(Setting(facts.id, "lora", "bf16", lora=lora, parallel=parallel, stack=stack), facts).context
    assert context is not None
    assert isinstance(context.sharing, Spread)
    events = next(iter(sharded_runs(context, programs_of(context), context.sharing))).events()
    together = (4 * 32 + 2 * 86) * MIB
    assert events.sizes.count(together) == (32 if sends else 0)
