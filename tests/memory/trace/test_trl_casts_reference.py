"""What TRL before 0.26 casts back of a model prepared for 4-bit training: modules by name, not all embeddings."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

WIDE = {
    "openai-community/gpt2": 0,
    "facebook/opt-125m": (2048 + 2) * 768,
    "EleutherAI/pythia-160m": 50304 * 768,
    "bigscience/bloom-560m": 0,
}
"""Elements of embeddings that stay float32: OPT's positions, and GPT-NeoX's `embed_in`; BLOOM's `word_embeddings` are
the weight of its `lm_head`, too."""


def _setting(model: str) -> Setting:
    return Setting(
        model, "qlora", "nf4", amp=True, gradients="bf16", optimizer_states="bf16", lora=Lora(8, dtype="bf16"),
        batch_size=2, sequence_length=256, stack=Stack("trl", versions={"trl": "0.16.0"}),
    )  # fmt: skip


@pytest.mark.parametrize("model", WIDE)
def test_embeddings_are_cast_as_trl_names_them(model: str) -> None:
    agree(_setting(model), 2, peak=0.0004, elsewhere=0.002)


@pytest.mark.parametrize("model", WIDE)
def test_what_has_another_name_stays_in_float32(model: str) -> None:
    """Beside two bytes for each norm and bias, which are few."""
    step = estimate(_setting(model), cut(model, 2)).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    widened = next((row.bytes for row in step.rows if row.name == "upcast_parameters"), 0)
    assert widened == pytest.approx(2 * WIDE[model], abs=200_000)
