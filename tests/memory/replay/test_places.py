"""Where what is asked for once stands among a run's events, by hand."""

from __future__ import annotations

from typing import Any

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Lora, Setting, Stack

WORKSPACE = 8_519_680
"""A thread's workspace of cuBLAS where no GPU is named."""
VOCABULARY, HIDDEN = 151_936, 896
"""Of Qwen2.5-0.5B, whose output weight is its embedding."""
QWEN = "Qwen/Qwen2.5-0.5B"

Change = tuple[bool, int]


def _run(model: str, **fields: Any) -> Events:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    context = estimate(Setting(model, **fields), facts).context
    assert context is not None
    return Run(context, programs_of(context)).events()


def _changes(events: Events) -> list[Change]:
    return [(event > 0, events.sizes[abs(event)]) for event in events.order]


def test_the_block_before_loading_is_for_all_weights() -> None:
    """Small ones and all: transformers asks for the bytes of every parameter (modeling_utils.py)."""
    assert _run("meta-llama/Llama-3.1-8B", method="full", weights="bf16").block == 2 * 8_030_261_248


def test_autograds_thread_asks_for_its_workspace_with_its_first_product() -> None:
    """After the gradient of the logits, which it multiplies; the forward thread did with its own first product."""
    tokens = 256
    changes = _changes(_run(QWEN, method="lora", weights="bf16", lora=Lora(8, 16), sequence_length=tokens))
    logits = tokens * VOCABULARY * 4
    workspaces = [place for place, change in enumerate(changes) if change == (True, WORKSPACE)]
    made = [place for place, change in enumerate(changes) if change == (True, logits)]
    assert len(workspaces) == 2
    assert workspaces[0] < made[0]
    first_step = [place for place in made if place < workspaces[1]]
    assert len(first_step) >= 3  # float32 logits, log-probabilities, and gradients of both come before it


def test_what_trl_casts_back_is_wide_until_there_are_adapters() -> None:
    """Peft makes the embedding float32, then adapters come, then TRL makes it bfloat16 (v0.16.0, trainer/utils.py)."""
    stack = Stack("trl", versions={"trl": "0.16.0"})
    fields: dict[str, Any] = {
        "method": "qlora", "weights": "nf4", "compute": "bf16", "amp": True, "lora": Lora(8, 16, "all-linear"),
    }  # fmt: skip
    events = _run(QWEN, stack=stack, **fields)
    changes = _changes(events)[events.loaded :]
    narrow, wide = 2 * VOCABULARY * HIDDEN, 4 * VOCABULARY * HIDDEN
    embeddings = [change for change in changes if change[1] in (narrow, wide)][:4]
    assert embeddings == [(True, wide), (False, narrow), (True, narrow), (False, wide)]
    between = changes[changes.index((False, narrow)) : changes.index((True, narrow))]
    assert len(between) > 7 * 2 * 24  # both matrices of seven adapters in each of 24 layers
    plain = _changes(_run(QWEN, stack=Stack("plain"), **fields))
    assert (True, wide) in plain
    assert (False, wide) not in plain
