"""Every input of a scenario moves what it declares to move, and nothing that a claim could be judged by beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.checks.input_bases import ANSWERING, BASES, SPREAD, TRAINING, TUNED, Flags
from toolkit.checks.refusals import REFUSALS
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, Holdings, estimate, holdings
from toolkit.memory.ledger import Category
from toolkit.spec import FIELDS, decide, scenario_from_flags
from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Boolean, Integer, Number, OneOf

HELD = ("weights", "adapters", "gradients", "optimizer_states", "master_weights")
SERVED = ("kv_cache", "engine_pool")
STEADY = frozenset((*HELD, *SERVED, "parameters"))
OF_A_PASS = "activations or logits"
Seen = dict[str, object]
"""What claims are judged by, by quantity; and what each phase has of a category, by both."""
TRAINED = ("adapters", "gradients", "optimizer_states", "parameters")
UNSEEN = {
    "kernels.awq": {"weights"},  # of widths that are no multiple of eight groups alone
    "stack.peft": {"parameters"},  # of OFT, which these scenarios have not
    # One list alone leaves a module without a form, or with two; of clusters only those of rank 1 are counted.
    **{name: set(TRAINED) for name in ("lora.blocked_a", "lora.blocked_b", "peft.subspace_rank")},
    "parallel.wraps_embeddings": {"weights", "gradients", "optimizer_states"},  # where parts do not divide evenly
    "parallel.buckets": {"weights"},  # of tensors between ten widths and 100,000 elements
}
"""What an input declares beside what it moves in these scenarios."""

VALUES: dict[str, tuple[str, ...]] = {
    "model": ("Qwen/Qwen2.5-0.5B",),
    "method": ("inference", "full", "lora", "qlora", "ia3"),
    "head": ("base", "masked-lm", "sequence-classification(3)"),
    "labels": ("3",),
    "gpu": ("T4", "H100"),
    "parallel.gpus": ("1", "2", "4", "9"),
    "parallel.stage_layers": ("[15, 17]", "[20, 12]"),
    "engine.max_num_batched_tokens": ("100000",),
    "engine.gpu_memory_utilization": ("0.5", "0.95"),
    "lora.rank": ("1", "3", "64"),  # the adapters of larger ones make another of several GPUs the fullest
    "peft.rank": ("1", "64", "1000"),
    "lora.targets": ("[q_proj]", "[down_proj]", "[query, value]"),
    "lora.modules_to_save": ("[lm_head]", "[embed_tokens, lm_head]", "[norm]", "[k_proj]"),
    "peft.targets": ("[q_proj]", "[k_proj, v_proj, down_proj]"),
    "peft.feedforward_modules": ("[down_proj]",),
    "galore.targets": ("[attn, mlp]",),
    "gradient_checkpointing": ("false", "reentrant", "non-reentrant"),
    "parallel.offload": ("true", "optimizer"),
    "kernels.liger": ("true",),
    "lora.blocks": ("4", "8"),
    "peft.effective_rank": ("8", "0.25"),
    "peft.rank_pattern": ("[v_proj=0.75]",),
    "peft.block_size": ("32", "192"),
    "peft.vector_length": ("32",),
    "peft.gralora_k": ("3", "4"),
    "cache.q_group_size": ("32", "128"),
    "stack.torch": ("1.13.1", "2.1.0", "2.5.1"),
    "stack.transformers": ("4.36.2", "4.40.0", "4.45.0", "4.50.0", "5.0.0"),
    "stack.trl": ("0.9.6", "0.18.0", "0.25.0"),
    "stack.peft": ("0.6.0", "0.11.0", "0.14.0"),
    "stack.bitsandbytes": ("0.41.0", "0.43.0", "0.48.0"),
    "stack.accelerate": ("0.29.0", "1.0.0"),
    "stack.vllm": ("0.6.0", "0.8.0", "0.12.0"),
    "stack.litgpt": ("0.3.0", "0.5.10"),
    "stack.autoawq": ("0.1.5", "0.1.4"),
    "stack.torchtune": ("0.2.0", "0.6.1"),
    "stack.torchtitan": ("0.0.1", "0.2.0"),
    "stack.liger-kernel": ("0.1.0", "0.5.0"),
}
"""What an input is set to, where its kind does not say it."""


def values(field: FieldSpec) -> Iterator[str]:
    """What an input is set to in every scenario that admits it."""
    if field.name in VALUES:
        yield from VALUES[field.name]
    elif isinstance(field.kind, OneOf):
        yield from field.kind.names
    elif isinstance(field.kind, Boolean):
        yield from ("true", "false")
    elif isinstance(field.kind, Integer):
        yield from ("1", "3", "64", "1000", "10000")
    elif isinstance(field.kind, Number):
        yield from ("0.1", "0.5")
    else:
        yield field.examples[0]


def bases(field: FieldSpec) -> dict[str, Flags]:
    """The scenarios that an input is varied in: methods of peft where it is of theirs or of all."""
    if field.name.startswith("peft."):
        return TUNED
    return {**TRAINING, **SPREAD, **ANSWERING} if "." in field.name else BASES


def _amounts(held: Holdings) -> Seen:
    sizes: Seen = {name: max(phase.of(Category(name)) for phase in held.phases) for name in HELD}
    by_phase = _by_phase(held)
    return {**by_phase, **sizes, "parameters": (held.parameters_total, held.parameters_trainable)}


def _of_passes(found: Estimate) -> Seen:
    sizes: Seen = {name: max(phase.of(Category(name)) for phase in found.phases) for name in SERVED}
    sizes[OF_A_PASS] = max(phase.of(Category.ACTIVATIONS, Category.LOGITS) for phase in found.phases)
    return {**_by_phase(found), **sizes}


def _by_phase(held: Holdings) -> Seen:
    return {f"{one} at {phase.name}": phase.of(one) for phase in held.phases for one in Category}


@cache
def seen(flags: tuple[tuple[str, str], ...]) -> Seen | None:
    """What claims of a scenario are judged by; None where it contradicts itself or no formula covers it."""
    scenario, findings = scenario_from_flags(dict(flags), Path())
    if scenario is None or findings:
        return None
    setting = decide(scenario, {})
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    try:
        held = _amounts(holdings(setting, facts))
    except REFUSALS:
        return None
    try:
        return {**held, **_of_passes(estimate(setting, facts))}
    except REFUSALS:
        return held


def moved(field: FieldSpec) -> dict[str, str]:
    """What an input moves, and where that was seen."""
    found: dict[str, str] = {}
    for name, base in bases(field).items():
        before = seen(tuple(base.items()))
        assert before is not None, name
        for value in values(field):
            after = seen(tuple({**base, field.name: value}.items())) or {}
            for quantity in before.keys() & after.keys():
                if before[quantity] != after[quantity]:
                    found.setdefault(quantity, f"{name}, {field.name}: {value}")
    return found


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_an_input_moves_what_it_declares(field: FieldSpec) -> None:
    found = moved(field)
    declared = {*field.affects, *({OF_A_PASS} if field.affects & {"activations", "logits"} else ())}
    judged = {quantity: where for quantity, where in found.items() if " at " not in quantity}
    assert not {quantity: where for quantity, where in judged.items() if quantity not in declared}
    anywhere = {quantity.partition(" at ")[0] for quantity in found}
    assert (field.affects & STEADY) - anywhere == UNSEEN.get(field.name, set())
