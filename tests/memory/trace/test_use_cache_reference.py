"""Training with and without a cache that nobody reads, against traces."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("model", ["openai-community/gpt2", "EleutherAI/pythia-1b", "mistralai/Mistral-7B-v0.1"])
def test_turning_it_off_moves_as_much_as_in_a_trace(model: str) -> None:
    facts = cut(model, 3)
    ends: list[tuple[int, int]] = []
    for uncached in (False, True):
        setting = Setting(
            model, "full", "bf16", batch_size=2, sequence_length=512, stack=Stack("plain"), uncached=uncached
        )
        phases = [one.ledger.phase(PhaseName.BACKWARD) for one in (trace(setting, facts), estimate(setting, facts))]
        seen, known = phases
        assert seen is not None
        assert known is not None
        ends.append((seen.total, known.total))
    (seen, known), (seen_off, known_off) = ends
    assert known - known_off == pytest.approx(seen - seen_off, abs=seen // 10_000)
