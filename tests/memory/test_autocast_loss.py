"""What cross-entropy holds under autocast, by hand: log_softmax in the dtype of the logits, nll_loss in float32."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Setting, Stack

TOKENS = 8 * 512
MODELS = {"google-bert/bert-base-uncased": ("masked-lm", 30_522), "google-t5/t5-small": (None, 32_128)}


def of_the_loss(model: str, amp: str | None) -> dict[str, int]:
    """Bytes by row of a model of one layer when backward is fullest, which is at the loss."""
    known = load_model(model)
    assert isinstance(known, ModelFacts)
    facts = model_from_config({**known.config, "num_hidden_layers": 1, "num_layers": 1, "num_decoder_layers": 1}, model)
    head, _ = MODELS[model]
    setting = Setting(
        model, "full", "fp32", head=head or "causal-lm", compute=amp or "fp32", amp=bool(amp), gradients="fp32",
        optimizer_states="fp32", batch_size=8, sequence_length=512, stack=Stack("plain", result="loss"),
    )  # fmt: skip
    phase = estimate(setting, facts).ledger.phase(PhaseName.BACKWARD)
    assert phase is not None
    rows = {row.name: row.bytes for row in phase.rows}
    return {name: rows.get(name, 0) for name in ("logits_float32", "log_probabilities", "logits_gradient")}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_autocast_widens_the_second_half_of_the_loss(model: str, amp: str) -> None:
    """16-bit logarithms, their float32 copy, and the gradient of that: 10 bytes of a logit, where float32 has 12."""
    logits = TOKENS * MODELS[model][1]
    assert of_the_loss(model, amp) == {
        "logits_float32": 0,
        "log_probabilities": logits * (2 + 4),
        "logits_gradient": logits * 4,
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_loss_in_float32_makes_two_gradients(model: str) -> None:
    logits = TOKENS * MODELS[model][1]
    assert of_the_loss(model, None) == {
        "logits_float32": 0,
        "log_probabilities": logits * 4,
        "logits_gradient": logits * 4 * 2,
    }
