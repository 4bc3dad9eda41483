"""Which models of the tables no formula follows, by name: a model that is followed stays so."""

from __future__ import annotations

import pytest

from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.memory.architecture import UnsupportedModel
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.layouts.encoders import READERS
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
ALL_LINEAR = Lora(8, 16, "all-linear")
METHODS = {
    "inference": Setting("", "inference", "bf16", generated_length=8),
    "full": Setting("", "full", "fp32", **MIXED),
    "lora": Setting("", "lora", "bf16", lora=ALL_LINEAR, **MIXED),
    "qlora": Setting("", "qlora", "nf4", lora=ALL_LINEAR, **MIXED),
}

WITHOUT_FORMULA = {
    "tiiuae/falcon-rw-1b": "Falcon with ALiBi or without parallel attention",
}
LLAMA_4 = ("meta-llama/Llama-4-Maverick-17B-128E-Instruct", "meta-llama/Llama-4-Scout-17B-16E-Instruct")
ROUTER = "router_states: peft's adapters fail at Llama 4's router, which gives two tensors"
MAMBA_OUTPUT = "adapter_states: peft puts no adapters on out_proj of Mamba (tuners_utils.py)"
GEMMA_3N = ("google/gemma-3n-E2B-it", "google/gemma-3n-E4B-it")
CLIPS = "weights: Gemma 3n's code clips weights in training, which fails where they are packed"
EMBEDS = "embedding_states: no formula for training Gemma 3n's vision tower yet"
VISION = "gradients: no formula for training mllama on text alone yet, except with adapters"
MAMBAS = tuple(name for name in MODEL_IDS if "mamba-" in name)
FIRST_DEBERTA = tuple(f"microsoft/deberta-{size}" for size in ("base", "large", "xlarge"))
MASKED_FILL = (
    "attention_scores: transformers' code of the first DeBERTa fails under autocast (modeling_deberta.py, masked_fill)"
)
PACKED = "recurrence_states: no formula for packed weights of Mamba, whose code multiplies dt_proj's weight itself, yet"
REFUSED = (
    {
        (name, method): f"activations: no formula for {what} yet"
        for name, what in WITHOUT_FORMULA.items()
        for method in METHODS
    }
    | {(name, method): ROUTER for name in LLAMA_4 for method in ("lora", "qlora")}
    | {(name, method): why for name in GEMMA_3N for method, why in (("full", EMBEDS), ("qlora", CLIPS))}
    | {(name, method): why for name in MAMBAS for method, why in (("lora", MAMBA_OUTPUT), ("qlora", PACKED))}
    | {(name, method): MASKED_FILL for name in FIRST_DEBERTA for method in METHODS if method != "inference"}
    | {("meta-llama/Llama-3.2-11B-Vision-Instruct", "full"): VISION}
    | {("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", method): MAMBA_OUTPUT for method in ("lora", "qlora")}
)


def _refusal(facts: ModelFacts, setting: Setting) -> str | None:
    head = "masked-lm" if facts.config["model_type"] in READERS else "causal-lm"
    fields = {name: getattr(setting, name) for name in Setting.__dataclass_fields__}
    try:
        found = estimate(
            Setting(**{**fields, "model": facts.id, "head": head, "batch_size": 2, "sequence_length": 128}), facts
        )
    except (UnsupportedRow, UnsupportedModel) as refused:
        return str(refused)
    _is_whole(found)
    return None


def _is_whole(found: Estimate) -> None:
    """What is alive at the fullest moments of the passes is in the ledger: no row gets lost for want of a rule."""
    assert found.context is not None
    for phase in found.phases:
        moment = found.context.moments.get(phase.name)
        counted = {rule.name: size for rule, size in phase.sizes}
        for row, size in (moment.rows if moment else {}).items():
            assert not size or counted.get(row, 0) >= size, (phase.name, row)


@pytest.mark.parametrize("name", MODEL_IDS)
def test_every_model_of_the_tables_is_followed_but_these(name: str) -> None:
    facts = load_model(name)
    assert isinstance(facts, ModelFacts)
    refusals = {method: _refusal(facts, setting) for method, setting in METHODS.items()}
    assert refusals == {method: REFUSED.get((name, method)) for method in METHODS}


def test_none_but_models_of_the_tables_are_listed() -> None:
    assert {name for name, _ in REFUSED} <= set(MODEL_IDS)
