"""Scenarios to ask about."""

from pathlib import Path

from toolkit.checks.situations.answer import Answer, answer
from toolkit.facts.gpu import GenericGpu, Gpu, GpuVariants
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.spec.load import scenario_from_flags
from toolkit.spec.scenario import Scenario

BASE = Path()
DECIDED = {
    "model": "Qwen/Qwen2.5-0.5B", "method": "full", "weights": "bf16", "amp": "false", "batch_size": "2",
    "sequence_length": "512", "gradient_accumulation": "1", "gradient_checkpointing": "false", "optimizer": "adamw",
    "optimizer_implementation": "fused", "attention": "sdpa", "stack.trainer": "transformers",
    "stack.loss": "cross-entropy",
}  # fmt: skip
"""A scenario that leaves nothing open."""


def scenario(**fields: str) -> Scenario:
    """The scenario of flat fields, a double underscore for a dot."""
    said = {name.replace("__", "."): text for name, text in fields.items()}
    found, findings = scenario_from_flags(said, BASE)
    assert found is not None, findings
    return found


def decided(**fields: str) -> Scenario:
    """A scenario that leaves nothing open."""
    said = {**DECIDED, **{name.replace("__", "."): text for name, text in fields.items()}}
    return scenario(**{name.replace(".", "__"): text for name, text in said.items() if text})


def answered(one: Scenario) -> Answer:
    """Its answer."""
    found = answer(one, BASE)
    assert found is not None
    return found


def card(name: str) -> Gpu | GpuVariants | GenericGpu:
    """A card by name."""
    found = find_gpu(name)
    assert not isinstance(found, UnknownName)
    return found
