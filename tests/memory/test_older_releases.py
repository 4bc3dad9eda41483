"""What older releases of torch and bitsandbytes held that newer ones do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.setting import Setting, Stack

LLAMA = "meta-llama/Llama-2-7b-hf"
BERT = Setting(
    "google-bert/bert-large-uncased",
    "full",
    "fp32",
    compute="fp32",
    gradients="fp32",
    batch_size=4,
    sequence_length=512,
    head="sequence-classification",
    labels=2,
    attention="eager",
)


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def rows(found: Estimate, name: PhaseName) -> dict[str, int]:
    phase = found.ledger.phase(name)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def test_zero_grad_left_gradients_in_place_before_torch_2() -> None:
    new, old = (of(replace(BERT, stack=Stack(versions={"torch": version}))) for version in ("2.0.0", "1.10.1"))
    assert rows(new, PhaseName.FORWARD_END).get("gradients", 0) == 0
    assert rows(old, PhaseName.FORWARD_END)["gradients"] == 4 * old.parameters_total
    again = of(replace(BERT, gradient_accumulation=2, stack=Stack(versions={"torch": "2.0.0"})))
    assert old.allocated == again.allocated


@pytest.mark.parametrize(
    ("compute", "version", "each"), [("bf16", "0.42.0", 4), ("bf16", "0.43.0", 2), ("fp16", "0.42.0", 2)]
)
def test_a_weight_was_dequantized_to_float16_first(compute: str, version: str, each: int) -> None:
    setting = Setting(
        LLAMA,
        "inference",
        "nf4",
        compute=compute,
        double_quant=False,
        sequence_length=64,
        stack=Stack(versions={"bitsandbytes": version}),
    )
    # The end of the prompt is inside the last layer, where the widest weight is that of the feed-forward.
    assert rows(of(setting), PhaseName.PREFILL)["dequantized_weight"] == 4096 * 11_008 * each
