"""Models as text and as JSON: the list of known models, and the facts of one."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.facts.models import ModelFacts
from toolkit.memory.architecture import UnsupportedModel, architecture_of
from toolkit.quantity import display_count
from toolkit.report.json import as_json
from toolkit.report.terminal import line, table


def models_text(models: Sequence[ModelFacts]) -> str:
    """One line for each model: id, type, parameters, and a remark where no publication confirms them."""
    rows = [
        (line(one.id), line(family_of(one)), _count(one.verified_params), "" if one.verified else "not verified")
        for one in models
    ]
    return "".join(f"{text}\n" for text in table(rows, frozenset({2})))


def models_json(models: Sequence[ModelFacts]) -> str:
    """The same as a list of objects."""
    return as_json(
        [
            {"id": one.id, "family": family_of(one), "parameters": one.verified_params, "verified": one.verified}
            for one in models
        ]
    )


def family_of(facts: ModelFacts) -> str:
    """The model type of the config, or "?"."""
    kind = facts.config.get("model_type")
    return kind if isinstance(kind, str) else "?"


def model_text(facts: ModelFacts) -> str:
    """The facts of one model, one on each line."""
    lines = [f"{name}: {value}" for name, value in _facts(facts).items() if value not in (None, [], "")]
    lines += [f"source: {source}" for source in facts.sources] + [f"note: {note}" for note in facts.notes]
    return "".join(f"{line(text)}\n" for text in lines)


def model_json(facts: ModelFacts) -> str:
    """The same as an object, with the config."""
    return as_json(
        {
            **_facts(facts),
            "sources": list(facts.sources),
            "notes": list(facts.notes),
            "config": dict(facts.config),
        }
    )


def _facts(facts: ModelFacts) -> dict[str, object]:
    try:
        architecture = architecture_of(facts)
    except UnsupportedModel as refusal:
        computed: object = f"not computed: {refusal.reason}"
    else:
        computed = architecture.parameters
    return {
        "id": facts.id,
        "family": family_of(facts),
        "verified parameters" if facts.verified else "parameters": facts.verified_params,
        "verified" if facts.verified else "not verified": facts.verified_how,
        "computed parameters": computed,
        "checkpoint dtype": facts.checkpoint_dtype,
        "quantization": str(facts.quantization.get("quant_method")) if facts.quantization else None,
        "config hash": facts.config_hash,
    }


def _count(count: int | None) -> str:
    return "" if count is None else display_count(count)
