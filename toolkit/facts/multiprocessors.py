"""How many multiprocessors a GPU has, and how many threads each of them holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.frozen import frozen

DATA = Path(__file__).parent / "data" / "multiprocessors.json"


@frozen
class Multiprocessors:
    """The multiprocessors of a GPU, and the most threads of each (cudaDeviceProp's maxThreadsPerMultiProcessor)."""

    count: int
    threads: int


@cache
def multiprocessor_table() -> Mapping[str, Any]:
    """The table as it is stored."""
    read: Mapping[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return read


@cache
def multiprocessors_of(gpu: str) -> Multiprocessors | None:
    """Those of a GPU, by any name; of several GPUs with that name the most; None where one is not in the table."""
    found = find_gpu(gpu)
    if isinstance(found, UnknownName):
        return None
    table = multiprocessor_table()
    known = []
    for member in found.members:
        count = table["gpus"].get(member.name, {}).get("count")
        threads = table["threads"].get(member.architecture)
        if count is None or threads is None:
            return None
        known.append(Multiprocessors(count, threads))
    return max(known, key=lambda one: one.count * one.threads)
