"""Translates a record of one card for another, with the other card's cuBLAS workspaces and CUDA context.

What a run allocates is the same on every card, except for the workspaces, which are blocks of the allocator like any
other, and for kernels that only some cards have. So one card's workspaces are replaced by the other's, phase by phase:
with larger ones a run may peak in another phase. How far other kernels move a peak is the difference between the
ledgers of the two cards. What the allocator holds unused is known between bounds only. The last two widen the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from toolkit.checks.refusals import REFUSALS
from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import Record
from toolkit.facts.gpu import GenericGpu
from toolkit.facts.gpu_table import table
from toolkit.facts.gpus import find_gpu
from toolkit.facts.models import ModelFacts
from toolkit.facts.names import UnknownName
from toolkit.memory.device import (
    OWN_SEGMENT_FROM,
    SEGMENT_UNIT,
    SHARED_FROM,
    SHARED_SEGMENT,
    device_interval,
    workspace_bytes,
)
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.formula.workspaces import workspaces_at
from toolkit.memory.ledger import Category
from toolkit.quantity.interval import Interval
from toolkit.spec.settings.setting import Setting

Bytes = tuple[int, int]
"""The least and the most, in bytes."""

SAME: Bytes = (0, 0)
UNNAMED = "a card that is not named"


def is_card(record: Record, named: str | None) -> bool:
    """Whether a record was made on the card of that name, as far as both are known."""
    if named is None or record.gpu is None:
        return False
    stated, measured = find_gpu(named), find_gpu(record.gpu)
    if isinstance(stated, UnknownName) or isinstance(measured, UnknownName):
        return False
    return {one.name for one in measured.members} <= {one.name for one in stated.members}


def grown(record: Record, setting: Setting) -> Bytes:
    """The bytes by which one workspace is larger on the setting's card than on the record's.

    A setting without a card has either the workspace that its ledger counts or that of the record.
    """
    least, most = _took(record)
    now = workspace_bytes(setting.gpu, _releases(record, setting))
    low, high = now - most, now - least
    return (min(0, low), max(0, high)) if setting.gpu is None else (low, high)


def by_kernels(record: Record, setting: Setting, facts: ModelFacts) -> int:
    """The bytes by which other kernels make the phase of the record's peak larger on the setting's card.

    This is the difference between the ledgers of both cards without workspaces: reductions stage more on a card with
    more multiprocessors, and before Ampere no fused attention kernel takes bfloat16. 0 where no formula covers the
    setting, or a card is not known.
    """
    if record.gpu == setting.gpu or is_card(record, setting.gpu):
        return 0
    if isinstance(find_gpu(record.gpu or ""), UnknownName) and record.gpu is not None:
        return 0
    try:
        here, there = (estimate(replace(setting, gpu=gpu), facts) for gpu in (setting.gpu, record.gpu))
    except REFUSALS:
        return 0
    return _beside(here, record.peak["phase"]) - _beside(there, record.peak["phase"])


def _beside(known: Estimate, phase: str) -> int:
    return sum(one.total - one.of(Category.WORKSPACE) for one in known.phases if one.name == phase)


def peak_of(record: Record, setting: Setting, view: str, kernels: int = 0) -> Interval:
    """The peak of a record in bytes, translated to the setting's card and counted as `view` says.

    `kernels` are the bytes that other kernels take there (see `by_kernels`), at the peak or at another moment.
    """
    counted = (int(record.peak["allocated"]), *map(int, record.peak["blocks"]))
    allocated = _allocated(record, setting, (min(counted), max(counted)), kernels)
    if view == "allocated":
        return _interval(allocated)
    if view == "device" and _shown(record, setting):
        return _interval((int(record.peak["device"][0]), int(record.peak["device"][1])))
    reserved = _reserved(record, setting, allocated, kernels)
    if view == "reserved":
        return _interval(reserved)
    return _interval(device_interval(reserved, setting.gpu, setting.parallel, _releases(record, setting)))


def told_for(record: Record, setting: Setting, view: str, kernels: int = 0) -> str:
    """What was translated, in words: ", with the workspaces and context of RTX 4090"; empty where nothing was."""
    shows = record.kind is EvidenceKind.MEASURED and view == "device"
    moved = {
        "workspaces": grown(record, setting) != SAME,
        "kernels": kernels != 0,
        "context": shows and not _shown(record, setting),
    }
    *most, last = [name for name, is_moved in moved.items() if is_moved] or [""]
    return f", with the {' and '.join(filter(None, [', '.join(most), last]))} of {_named(setting)}" if last else ""


def _named(setting: Setting) -> str:
    if setting.gpu is None:
        return UNNAMED
    return f"a card of {setting.gpu}" if isinstance(find_gpu(setting.gpu), GenericGpu) else setting.gpu


def _shown(record: Record, setting: Setting) -> bool:
    """Whether the device memory was read on the setting's own card, so that no translation is needed."""
    return record.kind is EvidenceKind.MEASURED and is_card(record, setting.gpu) and grown(record, setting) == SAME


def _releases(record: Record, setting: Setting) -> dict[str, str]:
    """The releases by package: those of the record, and others that the setting names."""
    return {**setting.stack.versions, **record.libraries}


def _took(record: Record) -> Bytes:
    """The bytes of one workspace on the record's card; between those of all cards where that card is unknown."""
    if record.kind is EvidenceKind.MEASURED and isinstance(find_gpu(record.gpu or ""), UnknownName):
        sizes = [int(facts["blas_workspace"]) for facts in table()["architectures"].values()]
        return min(sizes), max(sizes)
    size = workspace_bytes(record.gpu, record.libraries)
    return size, size


def _allocated(record: Record, setting: Setting, ends: Bytes, kernels: int) -> Bytes:
    """The least and the most of the peak of live tensors, with the setting's workspaces."""
    low, high = (end + _rise(record, setting, grows) for end, grows in zip(ends, grown(record, setting), strict=True))
    return low + min(0, kernels), high + max(0, kernels)


def _rise(record: Record, setting: Setting, grows: int) -> int:
    """The bytes by which the peak over all phases rises if each workspace grows by `grows`."""
    phases = list(_phases(record, setting))
    return max(total + count * grows for total, count in phases) - max(total for total, _ in phases)


def _reserved(record: Record, setting: Setting, allocated: Bytes, kernels: int) -> Bytes:
    """The least and the most that the allocator holds: smaller blocks fit in old places, larger may need a segment."""
    low, high = map(int, record.peak["reserved"])
    (shrinks, grows), count = grown(record, setting), max(count for _, count in _phases(record, setting))
    most = _took(record)[1]
    low -= (count * _segment(most) if shrinks < 0 else 0) + (_segment(-kernels) if kernels < 0 else 0)
    high += (count * _segment(most + grows) if grows > 0 else 0) + (_segment(kernels) if kernels > 0 else 0)
    return max(low, allocated[0]), max(high, allocated[1])


def _segment(size: int) -> int:
    """The bytes of the segment that the caching allocator opens for a block (c10/cuda/CUDACachingAllocator.cpp)."""
    if size < OWN_SEGMENT_FROM:
        return SHARED_SEGMENT if size > SHARED_FROM else SEGMENT_UNIT
    return -(-size // SEGMENT_UNIT) * SEGMENT_UNIT


def _phases(record: Record, setting: Setting) -> Iterator[Bytes]:
    """The bytes at the peak, and the number of workspaces, of every phase: as traced, else as the ledger counts them.

    A record without phases has the phase of its peak alone.
    """
    known = record.phases or ({"phase": record.peak["phase"], "total": record.peak["allocated"]},)
    for phase in known:
        if record.kind is EvidenceKind.TRACED and "categories" in phase:
            count = int(phase["categories"].get(Category.WORKSPACE, 0)) // _took(record)[0]
        else:
            count = workspaces_at(setting, str(phase["phase"]))
        yield int(phase["total"]), count


def _interval(ends: Bytes) -> Interval:
    return Interval.between(ends[0], ends[1])
