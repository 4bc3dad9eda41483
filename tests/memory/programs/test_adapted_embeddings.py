"""An adapter of what embeddings are projected by counts by its rank, as one of a layer does."""

from __future__ import annotations

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Lora, Setting

ELECTRA, TOKENS = "google/electra-base-generator", 512


def _states(rank: int, targets: str | tuple[str, ...]) -> int:
    facts = load_model(ELECTRA)
    assert isinstance(facts, ModelFacts)
    lora = Lora(rank, 16, targets)
    setting = Setting(
        ELECTRA, "lora", "fp32", head="sequence-classification", labels=2, sequence_length=TOKENS, lora=lora
    )
    phase = estimate(setting, facts).ledger.phase(PhaseName.FORWARD_END)
    assert phase is not None
    return sum(row.bytes for row in phase.rows if row.name == "adapter_states")


def test_an_adapter_of_the_embeddings_goes_by_the_rank() -> None:
    """Electra's generator embeds 768 wide, and projects that to 256: A's result is 4 bytes for each token and rank."""
    eight, sixteen = (_states(rank, ("embeddings_project",)) for rank in (8, 16))
    assert sixteen - eight == 8 * TOKENS * 4
