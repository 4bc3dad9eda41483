"""From a timeline to a ledger: what was alive at the fullest moment of each phase, by category and module."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from toolkit.memory.ledger import Category, Ledger, Phase, PhaseName, Row
from toolkit.memory.timeline.timeline import WORKSPACE, Allocation, Moment, Stage, Timeline
from toolkit.memory.trace.modules import unwrapped

HEADS = ("lm_head", "score", "classifier", "qa_outputs", "embed_out", "output_layer")
_NUMBER = re.compile(r"\.\d+(?=\.|$)")


def ledger_of(timeline: Timeline, kinds: Mapping[int, Category]) -> Ledger:
    """The ledger of a timeline. `kinds` says what lasting allocations are; the rest follows from where it was made."""
    peaks = timeline.peaks()
    return Ledger(tuple(_phase(timeline, kinds, name, peaks[name]) for name in PhaseName if name in peaks))


def _phase(timeline: Timeline, kinds: Mapping[int, Category], name: PhaseName, moment: Moment) -> Phase:
    sizes: Counter[tuple[Category, str]] = Counter()
    counts: Counter[tuple[Category, str]] = Counter()
    operations: dict[tuple[Category, str], set[str]] = defaultdict(set)
    for index in timeline.alive(moment.event):
        allocation = timeline.allocations[index]
        if not allocation.bytes:
            continue
        key = kinds.get(index) or _category(allocation), _place(allocation.module)
        sizes[key] += allocation.counted
        counts[key] += 1
        operations[key].add(allocation.operation)
    rows = []
    for (category, place), size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        made_by = ", ".join(sorted(operations[category, place]))
        storages = f"{counts[category, place]} storages"
        rows.append(Row(place or "model", category, size, storages, {"operations": made_by}))
    return Phase(name, tuple(rows), _moment(timeline, moment))


def _category(allocation: Allocation) -> Category:
    if allocation.operation == WORKSPACE:
        return Category.WORKSPACE
    if allocation.scratch or allocation.stage in (Stage.BACKWARD, Stage.STEP):
        return Category.TEMPORARY
    path = unwrapped(allocation.module)
    ends = path.rsplit(".", 1)[-1] in HEADS or path == ""
    return Category.LOGITS if ends and not _is_input(allocation) else Category.ACTIVATIONS


def _is_input(allocation: Allocation) -> bool:
    return allocation.operation in ("aten::zeros", "aten::zeros_like")


def _place(path: str) -> str:
    """A module's path, the same for all layers."""
    return _NUMBER.sub(".*", unwrapped(path))


def _moment(timeline: Timeline, moment: Moment) -> str:
    """The operation at which a phase is fullest."""
    if moment.event < 0:
        return ""
    return timeline.allocations[abs(timeline.events[moment.event]) - 1].place
