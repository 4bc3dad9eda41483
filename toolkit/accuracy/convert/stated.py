"""The rule of records that were collected for this project: they state themselves what no common field is for."""

from __future__ import annotations

from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record

COLLECTED = (
    "autoawq",
    "efficient_llm_finetuning",
    "litgpt",
    "ms_swift",
    "optimum_benchmark",
    "rasbt_finetuning_scripts",
    "torchao",
    "torchtune",
    "transformers_docs",
)
"""Their records lie beside what is made of them."""


def as_stated(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """Fields by name, what a scenario has no field for, and what sets a reading apart."""
    for name, value in record.get("fields", {}).items():
        draft.say(name, value)
        draft.beyond.pop(name, None)
    draft.beyond |= record.get("beyond", {})
    reading |= {key: record[key] for key in ("apart", "over") if key in record}
