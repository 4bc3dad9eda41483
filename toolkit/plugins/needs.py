"""The needs of a test: GPUs and libraries, by its markers and, for a measurement, by its setting."""

from __future__ import annotations

import pytest

from toolkit.memory.measure.gpu import SeenGpu, count_cards, seen_gpu
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.refused import missing

GIB = 1 << 30
MARKERS = ("gpu", "gpu_memory", "gpu_name", "gpu_count")


def unmet(item: pytest.Item) -> str:
    """Why this machine cannot run an item; empty where it can, or the item needs no GPU."""
    marks = [item.get_closest_marker(name) for name in MARKERS]
    if not any(marks):
        return ""
    card = seen_gpu()
    if isinstance(card, str):
        return card
    _, memory, names, count = marks
    return _too_small(memory, card) or _other(names, card) or _too_few(count) or _missing(item)


def _missing(item: pytest.Item) -> str:
    job = getattr(item, "job", None)
    return missing(job.setting) if isinstance(job, Measurable) else ""


def _too_few(count: pytest.Mark | None) -> str:
    if count is None or not count.args:
        return ""
    there = max(1, count_cards())
    return f"needs {count.args[0]} GPUs, and the machine has {there}" if there < count.args[0] else ""


def _too_small(memory: pytest.Mark | None, card: SeenGpu) -> str:
    if memory is None or not memory.args or card.total >= memory.args[0] * GIB:
        return ""
    return f"needs {memory.args[0]} GiB, and {card.name} has {card.total / GIB:.1f}"


def _other(names: pytest.Mark | None, card: SeenGpu) -> str:
    if names is None or any(str(name).casefold() in card.name.casefold() for name in names.args):
        return ""
    return f"needs {' or '.join(map(str, names.args))}, and the GPU is {card.name}"
