"""Settings and models of the recorded readings that estimates are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.spec.settings.setting import Lora, Setting, Stack

DATA = Path(__file__).parent / "data"


def records(name: str) -> list[dict[str, Any]]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


def setting_of(record: Mapping[str, Any]) -> Setting:
    said = dict(record["setting"])
    lora, stack = said.pop("lora", None), said.pop("stack", None)
    if lora is not None:
        said["lora"] = Lora(lora["rank"], None, tuple(lora["targets"]), lora["dropout"])
    if stack is not None:
        said["stack"] = Stack(stack["trainer"], stack["loss"], stack["versions"])
    return Setting(record["model"], **said)


def facts_of(record: Mapping[str, Any]) -> ModelFacts:
    facts = load_model(record["model"])
    assert isinstance(facts, ModelFacts)
    overrides = record.get("overrides")
    return model_from_config({**facts.config, **overrides}, record["model"]) if overrides else facts


def name_of(record: Mapping[str, Any]) -> str:
    said = record["setting"]
    more = (
        said.get("gradient_checkpointing"),
        "amp" if said.get("amp") else "",
        record.get("setting", {}).get("stack", {}).get("versions", {}).get("transformers"),
    )
    parts = (
        record["model"].split("/")[1],
        said["method"],
        said["weights"],
        f"{said['batch_size']}x{said['sequence_length']}",
        *more,
    )
    return "-".join(str(part) for part in parts if part)
