"""Answers that the model generates itself between its steps, on the GPU that trains it: GRPO without another process.

Source: trl 1.16, trainer/grpo_trainer.py, _generate_single_turn: `generate` of the model that trains, without
gradients or checkpoints, of all answers of an optimizer step at once (steps_per_generation is
gradient_accumulation_steps unless it is said); what is left of the step before are weights, adapters and states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.memory.device import Interval
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.rows.phase_sizes import PhaseSizes
from toolkit.memory.rows.rule import RowRule
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.fields.sampling import TOP_K
from toolkit.spec.settings.setting import Setting

ANSWERED = (PhaseName.PREFILL, PhaseName.DECODE)
KEPT = (Category.WEIGHTS, Category.ADAPTERS, Category.OPTIMIZER_STATES, Category.MASTER_WEIGHTS, Category.WORKSPACE)
"""What is there between steps: gradients are gone."""


ALL_AT_ONCE = "kv_cache: answers of batch_size x gradient_accumulation prompts are generated at once"


def answering(setting: Setting) -> Setting:
    """The setting in which the answers of a step are generated. Raises UnsupportedRow where no formula follows it."""
    prompt = setting.sequence_length - setting.answer_length
    for reason, applies in (
        ("answers that leave no token for a prompt", prompt < 1),
        ("float32 weights under autocast, of which each pass makes copies", setting.amp and setting.weights == "fp32"),
        (f"method {setting.method}", setting.peft is not None),
    ):
        if applies:
            raise UnsupportedRow("kv_cache", f"no formula for answers of the model that trains with {reason} yet")
    lora = replace(setting.lora, dtype=setting.compute, dropout=0.0) if setting.lora is not None else None
    return replace(
        setting,
        method="inference",
        batch_size=setting.batch_size * setting.gradient_accumulation,
        sequence_length=prompt,
        generated_length=setting.answer_length,
        answer_length=0,
        gradient_accumulation=1,
        gradient_checkpointing="false",
        sampling=TOP_K,
        objective=NEXT_TOKEN,
        reference=None,
        lora=lora,
        uncached=False,  # generate() goes by its own config
        amp=False,
        optimizer="none",
        master_weights=None,
        stack=replace(setting.stack, trainer="transformers", loss="cross-entropy"),
    )


def between_steps(trained: tuple[PhaseSizes, ...], answered: tuple[PhaseSizes, ...]) -> Iterator[PhaseSizes]:
    """The phases of a step: those of its answers, beside what training keeps, come before its passes."""
    load, forward = trained[0], next(phase for phase in trained if phase.name is PhaseName.FORWARD_END)
    kept = [(rule, size) for rule, size in forward.sizes if _stays(rule)]
    yield load
    for phase in answered:
        if phase.name in ANSWERED:
            passing = [(rule, size) for rule, size in phase.sizes if not _stays(rule)]
            yield phase._replace(sizes=(*kept, *passing))
    yield from trained[1:]


def held_by_both(phases: Iterable[PhaseSizes], trained: Interval, allocated: int, answered: Interval) -> Interval:
    """What the allocator holds at least and at most: for the passes, or for answers `allocated` by themselves.

    Beside answers is more than where a model only generates.
    """
    more = max(phase.total for phase in phases if phase.name in ANSWERED) - allocated
    return max(trained[0], answered[0] + more), max(trained[1], answered[1] + more)


def _stays(rule: RowRule) -> bool:
    return rule.category in KEPT
