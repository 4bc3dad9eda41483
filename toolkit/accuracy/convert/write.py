"""Writes the records of one source as a folder of readings: a header, and one run a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from toolkit.accuracy.convert.draft import Record, draft_of
from toolkit.accuracy.convert.figures import reading_of
from toolkit.accuracy.convert.sources import RULES

SOURCES = Path(__file__).parents[1] / "data" / "sources.json"
NEEDED = frozenset({
    "id", "config_id", "grade", "source", "model", "model_as_published", "task", "weight_dtype", "quantization",
    "compute_dtype", "batch_size", "grad_accum", "seq_len", "gen_len", "gradient_checkpointing", "attn_impl",
    "optimizer", "lora", "parallelism", "gpu", "metric", "value", "unit", "value_bytes", "versions", "verbatim",
    "notes",
})  # fmt: skip
"""The fields of a record; more are passed over."""

_COMMIT = 7
_BLOB = re.compile(r"-[0-9a-f]{8}$")
_PRINTED = re.compile(r"^optgptq-[0-9a-f]{6}-.*?-(\d+)-.*-([0-9.]+)$")


class UnknownSourceError(ValueError):
    """Records of a source for which there is no rule."""


class BrokenRecordError(ValueError):
    """A line that is no record: says which, and what it lacks."""


@cache
def sources() -> Mapping[str, Mapping[str, Any]]:
    """What is said of each source in its header."""
    read: Mapping[str, Mapping[str, Any]] = json.loads(SOURCES.read_text(encoding="utf-8"))
    return read


def converted(slug: str, lines: Iterable[str]) -> tuple[str, str]:
    """The header and the lines of readings of a source, from its records as lines of JSON."""
    if slug not in RULES:
        raise UnknownSourceError(f"no rule for records of {slug}; known: {', '.join(RULES)}")
    header = yaml.safe_dump(dict(sources()[slug]), sort_keys=False, allow_unicode=True, width=110)
    runs = _runs(slug, _records(lines))
    return header, "".join(f"{json.dumps(run, ensure_ascii=False, separators=(',', ':'))}\n" for run in runs)


def _records(lines: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BrokenRecordError(f"line {number}: {error}") from error
        lacks = sorted(NEEDED - record.keys()) if isinstance(record, dict) else ["everything"]
        if lacks:
            raise BrokenRecordError(f"line {number} is no record: it lacks {', '.join(lacks)}")
        yield record


def _runs(slug: str, records: Iterable[Record]) -> list[dict[str, Any]]:
    """One entry for each run with all of its readings; a run whose records disagree about it becomes two."""
    runs: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for record in records:
        reading = reading_of(record)
        draft = draft_of(record)
        RULES[slug](draft, record, reading)
        run = _run(slug, record, draft.scenario(), draft.beyond)
        key = json.dumps(run, sort_keys=True)
        if key not in runs:
            name = run["run"]
            counts[name] = counts.get(name, 0) + 1
            if counts[name] > 1:
                run["run"] = f"{name}#{counts[name]}"
            runs[key] = {**run, "readings": []}
        runs[key]["readings"].append(reading)
    return list(runs.values())


def _run(slug: str, record: Record, scenario: dict[str, Any], beyond: dict[str, str]) -> dict[str, Any]:
    source = record["source"]
    run = {"run": record["config_id"], "configuration": configuration_of(slug, record)}
    if run["configuration"] == run["run"]:
        del run["configuration"]
    run |= {"grade": record["grade"], "path": source["path"], "commit": source["commit"]}
    return {**run, "scenario": scenario, **({"beyond": beyond} if beyond else {})}


def configuration_of(slug: str, record: Record) -> str:
    """The name that repeats of one configuration share: the run's, without commit, blob or version of the page."""
    name: str = record["config_id"]
    if slug == "fms_acceleration":
        return name.replace(f"-{record['source']['commit'][:_COMMIT]}", "")
    if slug == "peft_metamathqa":
        return _BLOB.sub("", name)
    if slug == "optimum_gptq_benchmark":
        printed = _PRINTED.match(name)
        return f"optgptq-{printed[1]}-{printed[2]}" if printed else name
    return name
