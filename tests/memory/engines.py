"""Settings of vLLM for tests: a model, a card, a release."""

from __future__ import annotations

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.context import Context
from toolkit.memory.estimate import Estimate, estimate
from toolkit.spec.settings.setting import Parallel, Setting, Stack

GIB = 2**30


def served(
    model: str,
    gpu: str | None,
    version: str | None,
    *,
    gpus: int = 1,
    weights: str = "bf16",
    compute: str = "bf16",
    share: float = 0.9,
    **engine: int | str | bool,
) -> Setting:
    """vLLM with a model on a card."""
    return Setting(
        model,
        "inference",
        weights,
        compute=compute,
        gpu=gpu,
        parallel=Parallel(gpus, "tensor") if gpus > 1 else Parallel(),
        stack=Stack("vllm", versions={"vllm": version} if version else {}),
        engine={"gpu_memory_utilization": share, **engine},
    )


def estimated(setting: Setting) -> Estimate:
    """The estimate of a setting whose model is known."""
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def context_of(setting: Setting) -> Context:
    """What the rows of its estimate are computed from."""
    found = estimated(setting).context
    assert found is not None
    return found
