"""SFTTrainer's own loss: tiles of logits by hand from TRL's sources, and refusals where another TRL is meant."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
utils = pytest.importorskip("trl.trainer.utils")

from tests.memory.trace.cut import cut  # noqa: E402
from toolkit.memory.ledger import PhaseName  # noqa: E402
from toolkit.memory.timeline.timeline import Allocation, Stage  # noqa: E402
from toolkit.memory.trace.trace import Trace, UnsupportedTrace, trace  # noqa: E402
from toolkit.spec.settings.setting import Lora, Setting, Stack  # noqa: E402

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not hasattr(utils, "add_fused_lm_head"), reason="a TRL whose head is not fused"),
]

NAME, WIDTH, VOCABULARY = "Qwen/Qwen2.5-0.5B", 896, 151_936
BATCH, LENGTH = 2, 256
LORA = Setting(
    NAME, "lora", "bf16", amp=True, gradients="fp32", optimizer_states="fp32", lora=Lora(8, 16),
    batch_size=BATCH, sequence_length=LENGTH, stack=Stack("trl", "chunked"),
)  # fmt: skip
SCORED = BATCH * (LENGTH - 1)
TILE = SCORED * 32_768 * 2
"""Every token but the last of each sequence, against so many entries of the vocabulary (trainer/utils.py), in bf16."""


def of_size(found: Trace, size: int, stage: Stage) -> list[Allocation]:
    return [one for one in found.timeline.allocations if one.bytes == size and one.stage is stage]


def test_logits_are_there_in_tiles_alone() -> None:
    found = trace(LORA, cut(NAME, 1))
    assert of_size(found, TILE, Stage.FORWARD)
    assert of_size(found, TILE, Stage.BACKWARD)
    largest = max(one.bytes for one in found.timeline.allocations if one.stage is Stage.FORWARD and not one.scratch)
    assert largest == VOCABULARY * WIDTH * 2  # the embedding as it is loaded, not the logits: SCORED x VOCABULARY x 2
    assert not of_size(found, SCORED * VOCABULARY * 2, Stage.FORWARD)


def test_hidden_states_are_gathered_and_their_gradient_summed_in_float32() -> None:
    """hidden[mask] is a copy; the gradient of it is float32 (kernels/chunked_logprob.py), then cast."""
    found = trace(LORA, cut(NAME, 1))
    assert of_size(found, SCORED * WIDTH * 4, Stage.BACKWARD)
    assert of_size(found, SCORED * WIDTH * 2, Stage.BACKWARD)


def test_a_trained_head_has_its_gradient_in_float32_first() -> None:
    setting = replace(LORA, method="full", lora=None, amp=False, gradients="bf16", optimizer_states="bf16")
    found = trace(setting, cut(NAME, 1))
    [first, *_] = of_size(found, VOCABULARY * WIDTH * 4, Stage.BACKWARD)
    assert first.operation == "aten::zeros"
    backward = found.ledger.phase(PhaseName.BACKWARD)
    assert backward is not None
    assert backward.total > VOCABULARY * WIDTH * (2 + 4)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        (
            Stack("trl", "chunked", {"trl": "1.7.0"}),
            "the stack names trl 1.7.0, and the loss of the installed .* differs",
        ),
        (Stack("trl", "cross-entropy", {"trl": version("trl")}), "never forms all logits"),
        (Stack("trl", "fused"), "the fused loss of trl is not traced"),
        (Stack("transformers", "fused"), "the fused loss of transformers is not traced"),
    ],
)
def test_the_loss_of_another_stack_is_refused(stack: Stack, reason: str) -> None:
    with pytest.raises(UnsupportedTrace, match=reason):
        trace(replace(LORA, stack=stack), cut(NAME, 1))
