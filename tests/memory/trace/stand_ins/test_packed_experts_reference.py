"""gpt-oss with its experts in MXFP4 as they are stored, against arithmetic by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

GPT_OSS = "openai/gpt-oss-20b"
HIDDEN = INNER = 2880
EXPERTS, CHOSEN = 32, 4
PREFILL = Setting(GPT_OSS, "inference", "mxfp4", batch_size=2, sequence_length=64)


def test_an_expert_takes_four_bits_and_a_quarter_and_its_biases_four_bytes() -> None:
    """Against the same model in bfloat16: 16 bits become 4 and 8 for each 32; biases of 2 bytes become 4."""
    packed, plain = (
        trace(Setting(GPT_OSS, "inference", weights, sequence_length=8), cut(GPT_OSS)).ledger.phases[0].total
        for weights in ("mxfp4", "bf16")
    )
    layers = 2
    weights = layers * EXPERTS * (2 * INNER * HIDDEN + HIDDEN * INNER)
    biases = layers * EXPERTS * (2 * INNER + HIDDEN)
    assert plain - packed == weights * 2 - weights * 17 // 32 - 2 * biases


def test_rows_of_the_chosen_experts_are_written_out_before_they_are_summed() -> None:
    """While the second product runs: its input, activated, for each chosen expert, and its result for each of them."""
    found = trace(PREFILL, cut(GPT_OSS, 1))
    rows = 2 * 64 * CHOSEN
    made = [one for one in found.timeline.allocations if ".mlp" in one.module and one.bytes >= rows * HIDDEN // 2]
    assert [one.bytes for one in made] == [rows * INNER * 2, rows // CHOSEN * HIDDEN * 2, rows * HIDDEN * 2]
    prefill = found.ledger.phase(PhaseName.PREFILL)
    assert prefill is not None
    assert prefill.of(Category.ACTIVATIONS) > 0


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (Setting(GPT_OSS, "lora", "mxfp4", lora=Lora(8)), "does not train weights in MXFP4"),
        (Setting("Qwen/Qwen2.5-0.5B", "inference", "mxfp4"), "Qwen2ForCausalLM has none of that kind"),
    ],
)
def test_what_has_no_packed_experts_is_refused(setting: Setting, reason: str) -> None:
    with pytest.raises(UnsupportedTrace, match=reason):
        trace(setting, cut(setting.model))
