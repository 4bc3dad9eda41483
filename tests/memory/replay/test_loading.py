"""What loading and preparing a model asks for, by hand."""

from __future__ import annotations

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.loading import load
from toolkit.spec.settings.setting import Lora, Setting, Stack

MODEL = "Qwen/Qwen2.5-7B"
TABLE = 152064 * 3584
"""Elements of the embeddings, and of the output weight."""


def test_a_copy_of_a_weight_that_is_cast_back_is_wide_for_as_long() -> None:
    """TRL before 0.26: embeddings and output weight are made float32, the latter is copied, and all are cast back.

    peft's prepare_model_for_kbit_training, its copy for modules_to_save, and TRL's peft_module_casting_to_bf16.
    """
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    lora = Lora(8, 16, ("q_proj",), modules_to_save=("lm_head",))
    stack = Stack("trl", "cross-entropy", {"trl": "0.16.0"})
    setting = Setting(
        MODEL, "qlora", "nf4", lora=lora, stack=stack, amp=True, gradients="bf16", optimizer_states="bf16"
    )
    context = estimate(setting, facts).context
    assert context is not None
    events = Events()
    load(events, context)
    changes = [(event > 0, events.sizes[abs(event)]) for event in events.order[events.loaded :]]
    large = [size if made else -size for made, size in changes if size >= TABLE]
    wide, narrow = 4 * TABLE, 2 * TABLE
    assert large == [*(wide, -narrow) * 2, wide, *(narrow, -wide) * 3]
