"""LLM.int8(): what is stored, what training keeps, and from which version on the formulas hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import Size
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Lora, Setting, Stack

LLAMA_13B = Setting(
    "meta-llama/Llama-2-13b-chat-hf",
    "lora",
    "int8",
    compute="fp16",
    gradients="fp32",
    optimizer_states="fp32",
    batch_size=2,
    sequence_length=512,
    gradient_accumulation=4,
    lora=Lora(32, 64, "all-linear", 0.0),
)
LAYERS, HIDDEN, INNER, VOCABULARY, TOKENS = 40, 5120, 13_824, 32_000, 2 * 512


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def phase_rows(found: Estimate, name: PhaseName) -> dict[str, int]:
    phase = found.ledger.phase(name)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def test_weights_by_hand() -> None:
    """A byte for each weight of a linear layer, four for each of its outputs, and 16 bit for all that is not one."""
    linears = 4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER
    outputs = 4 * HIDDEN + 2 * INNER + HIDDEN
    rest = 2 * VOCABULARY * HIDDEN + (2 * LAYERS + 1) * HIDDEN
    load = of(LLAMA_13B).ledger.phases[0]
    assert load.of(Category.WEIGHTS) == LAYERS * (linears + 4 * outputs) + 2 * rest


def test_preparing_casts_all_the_rest_to_float32() -> None:
    found = phase_rows(of(LLAMA_13B), PhaseName.BACKWARD)
    assert found["upcast_parameters"] == 2 * (2 * VOCABULARY * HIDDEN + (2 * LAYERS + 1) * HIDDEN)


def test_checkpoints_without_reentry_do_not_free_the_inputs_of_8_bit_layers() -> None:
    """Four inputs a layer, in float32 after preparing: both norms' results, attention's result, the product."""
    forms = {name: of(replace(LLAMA_13B, gradient_checkpointing=name)) for name in ("reentrant", "non-reentrant")}
    ends = {name: found.ledger.phase(PhaseName.FORWARD_END) for name, found in forms.items()}
    assert all(end is not None and end.moment == "logits" for end in ends.values())
    kept = LAYERS * TOKENS * (3 * HIDDEN + INNER) * 4
    assert ends["non-reentrant"].total - ends["reentrant"].total == kept  # type: ignore[union-attr]


def test_4_bit_layers_of_old_releases_kept_theirs_too() -> None:
    """bitsandbytes pull request 1270: since 0.43.2 the input of a 4-bit product is not kept.

    Until 0.47 it is what the layer is given, in float32 where norms are: one for q, k and v and one for gate and up.
    """
    qlora = replace(
        LLAMA_13B, method="qlora", weights="nf4", compute="bf16", amp=True, gradient_checkpointing="non-reentrant"
    )
    new = of(replace(qlora, stack=Stack(versions={"bitsandbytes": "0.43.2"}))).allocated
    old = of(replace(qlora, stack=Stack(versions={"bitsandbytes": "0.43.1"}))).allocated
    kept = LAYERS * TOKENS * ((2 * HIDDEN + INNER) * 4 + HIDDEN * 2)  # attention gives what it works in
    assert old - new == kept


def test_a_pinned_tensor_outlives_its_backward() -> None:
    tape = Tape(records=True)
    x = tape.new("x", 4, "bf16", grad=True)
    tape.pin(x)
    tape.pin(x)  # once is enough
    y = tape.node(tape.new("y", 4, "bf16", grad=True), lambda tape, _: [(x, tape.gradient(x))])
    tape.drop(x, y)
    tape.backward(y)
    assert tape.alive["x"] == Size(token=8)
    assert tape.pinned == {"x": Size(token=8)}


def test_a_pinned_tensor_of_a_recomputation_goes_with_its_graph() -> None:
    tape = Tape(records=True)
    tape.defer(saves=9)
    tape.pin(tape.new("x", 4, "bf16", grad=True))
    tape.unwind()
    assert tape.pinned == {}


def test_a_pass_without_a_graph_pins_nothing() -> None:
    tape = Tape(records=False)
    tape.pin(tape.new("x", 4, "bf16", grad=True))
    assert tape.pinned == {}


def test_older_kernels_are_refused_by_name() -> None:
    old = Stack(versions={"bitsandbytes": "0.44.1"})
    with pytest.raises(UnsupportedRow, match=r"LLM\.int8\(\) of bitsandbytes before 0\.45"):
        of(replace(LLAMA_13B, stack=old))


@pytest.mark.parametrize(
    ("release", "batch", "dequantizes"),
    [("0.49.2", 1, False), ("0.49.2", 2, True), ("0.50.0", 4, False), ("0.50.0", 5, True)],
)
def test_few_tokens_are_multiplied_by_4_bit_weights_as_they_are(release: str, batch: int, dequantizes: bool) -> None:
    """gemv_4bit takes one row; gemm_4bit of 0.50 (bitsandbytes pull request 1949) up to four on every GPU."""
    setting = Setting(
        "Qwen/Qwen2.5-0.5B-Instruct",
        "inference",
        "nf4",
        batch_size=batch,
        sequence_length=16,
        generated_length=2,
        stack=Stack(versions={"bitsandbytes": release}),
    )
    found = phase_rows(of(setting), PhaseName.DECODE)
    largest = phase_rows(of(setting), PhaseName.PREFILL)["dequantized_weight"]
    assert largest == 896 * 4864 * 2
    assert found.get("dequantized_weight", 0) == (largest if dequantizes else 0)
