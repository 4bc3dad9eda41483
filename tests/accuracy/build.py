"""Scores and records made by hand, and where the committed readings are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from toolkit.accuracy.compared import Answered
from toolkit.accuracy.convert.write import convert
from toolkit.accuracy.score import Score
from toolkit.finding import Place
from toolkit.memory.estimate import Estimate
from toolkit.spec.fields.value import Field, Fixed
from toolkit.spec.published_lines import PublishedRun, Reading
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.setting import Setting

PUBLISHED = Path(__file__).parents[2] / "specs" / "published"


def scored(
    configuration: str,
    read: int,
    low: int,
    high: int | None = None,
    *,
    run: str | None = None,
    metric: str = "allocated",
    complete: bool = True,
) -> Score:
    """A reading of 100 say, against an estimate."""
    place = Place("readings.jsonl")
    scenario = Scenario("s", place, {"method": Field(Fixed("full"), place)})
    name = run or configuration
    return Score(
        "source",
        PublishedRun(name, configuration, scenario, (), "table.csv", grade="A"),
        Reading(f"{name}-{metric}", metric, (read,)),
        read,
        (low, low if high is None else high),
        complete,
        "llama",
        "{}",
        Answered,
    )


def at(*settings: Setting) -> Callable[[], Answered]:
    """What gives the estimates of a run at these settings, of which nothing else is known."""
    found = Answered(tuple(cast("Estimate", SimpleNamespace(setting=one)) for one in settings))
    return lambda: found


def record(**fields: Any) -> dict[str, Any]:
    """A record of a measurement as it is published; fields that are not given say nothing."""
    names = (
        "quantization compute_dtype grad_accum gen_len gradient_checkpointing attn_impl optimizer lora gpu versions"
        " verbatim notes weight_dtype batch_size seq_len value_bytes"
    )
    empty: dict[str, Any] = dict.fromkeys(names.split())
    source = {"repo": "a/b", "commit": "c3a069c842aa", "path": "refs/a.csv"}
    return {
        **empty,
        "id": "x-1",
        "config_id": "x",
        "grade": "A",
        "source": source,
        "model": "mistralai/Mistral-7B-v0.1",
        "model_as_published": "Mistral-7B",
        "task": "full",
        "parallelism": {"gpus": 1, "kind": "none"},
        "metric": "allocated_max",
        "value": 1000,
        "unit": "bytes",
        **fields,
    }


def lines_of(slug: str, *records: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that records of a source become."""
    found = convert(slug, [json.dumps(one) for one in records])
    assert found.sound, found.findings
    return [json.loads(line) for line in found.readings.splitlines()]


def one_of(**fields: Any) -> dict[str, Any]:
    """The one run that a record of some source becomes."""
    [run] = lines_of("somebodys_benchmark", record(value_bytes=10**10, **fields))
    return run


def said(**fields: Any) -> dict[str, Any]:
    """The scenario of that run."""
    scenario: dict[str, Any] = one_of(**fields)["scenario"]
    return scenario
