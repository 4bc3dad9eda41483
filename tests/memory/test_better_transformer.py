"""sdpa before transformers had it: what optimum's BetterTransformer puts into LLaMA's place, and what was read."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.size import Size
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Setting, Stack

LLAMA_7B, LLAMA_13B = "meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-13b-hf"


def of(model: str, batch: int, length: int = 256, version: str = "4.35.2", **more: Any) -> Estimate:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    said: dict[str, Any] = {"compute": "fp16", "generated_length": 512, "gpu": "A100 SXM4 80GB", **more}
    stack = Stack(versions={"transformers": version})
    setting = Setting(model, "inference", "fp16", batch_size=batch, sequence_length=length, stack=stack, **said)
    return estimate(setting, facts)


# huggingface/optimum-benchmark at 5d4128c, examples/running-llamas/artifacts (fp16+bt): max_memory_allocated in MB.
READ = (
    (LLAMA_7B, 1, 0, 13_738),
    (LLAMA_7B, 1, 512, 14_356),
    (LLAMA_7B, 2, 512, 15_162),
    (LLAMA_7B, 64, 0, 25_422),
    (LLAMA_13B, 1, 512, 27_506),
    (LLAMA_13B, 4, 512, 31_284),
    (LLAMA_13B, 16, 0, 30_433),
)


@pytest.mark.parametrize(("model", "batch", "generated", "read"), READ)
def test_cards_read_as_much(model: str, batch: int, generated: int, read: int) -> None:
    found = of(model, batch, generated_length=generated).allocated
    assert found == pytest.approx(read * 10**6, rel=0.0004)


def at_scores(batch: int, length: int, version: str = "4.35.2") -> int:
    """The widest that biases and scores are at any moment of the prompt's pass."""
    found = of(LLAMA_7B, batch, length, version)
    assert found.context is not None
    widest = programs_of(found.context).layers[0].forward.widest.get("attention_scores", ())
    return max(map(found.context.scale.bytes, widest), default=0)


def test_a_mask_that_has_to_be_padded_is_copied_for_every_head() -> None:
    """Rows of 250 are padded to 256, for all 32 heads; of 256 nothing is copied; a single sequence has no mask."""
    assert at_scores(2, 250) == 2 * 32 * 250 * 250 * 2
    assert at_scores(2, 256) == at_scores(1, 250) == 0


def test_the_mask_is_that_of_the_model_in_its_dtype() -> None:
    """Two bytes for each pair of a sequence's positions, as for eager attention; transformers' own sdpa has none."""
    for batch in (1, 2):
        assert masks(batch, "4.35.2") == Size(pair=2).parts()
        assert masks(batch, "4.36.0") == Size()


def masks(batch: int, version: str) -> object:
    """The size of the masks that the model's code holds during its layers."""
    found = of(LLAMA_7B, batch, version=version)
    assert found.context is not None
    return programs_of(found.context).masks.get("attention_mask")
