"""One pass of a model that generates nothing, by formula and as the code of transformers runs: logits of all tokens."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

COMPUTED = 0.0005
"""What is left are tensors of a few kilobytes, and angles of positions that are let go of before the logits."""


@pytest.mark.parametrize("name", ["Qwen/Qwen3-0.6B", "google/gemma-2-2b", "openai-community/gpt2"])
@pytest.mark.parametrize("trainer", ["plain", "transformers"])
def test_a_pass_alone_gives_what_the_trace_sees(name: str, trainer: str) -> None:
    """Without generation one and the other differ by the logits of all tokens but the last."""
    setting = Setting(
        name, "inference", "bf16", batch_size=2, sequence_length=512, attention="eager", stack=Stack(trainer)
    )
    model = cut(name, 3)
    seen = trace(setting, model, whole=True).ledger.phase(PhaseName.PREFILL)
    computed = estimate(setting, model).ledger.phase(PhaseName.PREFILL)
    assert seen is not None
    assert computed is not None
    assert as_traced(computed) == pytest.approx(seen.total, rel=COMPUTED)
