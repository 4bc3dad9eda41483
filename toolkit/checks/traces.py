"""Traced records beside a spec: evidence about the settings that they are of, and about no other."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fractions import Fraction
from operator import attrgetter
from pathlib import Path

from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import FOLDER, LEFT_OUT, NOT_RUN, Record, read_records, setting_key
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.finding import Finding, Place, printable
from toolkit.memory.device import device_interval, workspace_bytes
from toolkit.quantity.interval import Interval
from toolkit.spec.settings.setting import Setting

VIEWS = ("allocated", "reserved", "device")


GROUPED = ("lora", "peft", "galore", "kernels", "cache", "parallel", "stack", "engine")

PLAIN = tuple(one.name for one in fields(Setting) if one.name not in (*NOT_RUN, *GROUPED))
"""The fields of a setting that are plain values: what differs in one of them needs no closer look."""

PLAIN_OF = attrgetter(*PLAIN)
"""The plain fields of a setting."""


@dataclass(slots=True)
class Traces:
    """The traced and the measured records of one folder; `shown` is the folder as findings name it."""

    shown: str
    records: tuple[Record, ...]
    measured: tuple[Record, ...] = ()
    _alike: dict[tuple[object, ...], list[Record]] = field(init=False)
    _found: dict[int, tuple[Setting, Record | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._alike = {}
        for one in (*self.measured, *self.records):
            self._alike.setdefault(plain_of(one), []).append(one)

    def at(self, setting: Setting, config_hash: str) -> Record | None:
        """The record of exactly this setting and config: what was measured goes before what was traced."""
        known = self._found.get(id(setting))
        if known is None:
            alike = self._alike.get(PLAIN_OF(setting), [])
            whole = setting_key(setting) if alike else {}
            found = [one for one in alike if one.config_hash == config_hash and one.setting == whole]
            record = next((one for one in found if not set_aside(one, setting)), found[0] if found else None)
            known = self._found[id(setting)] = setting, record  # with the setting, so that its id stays its own
        return known[1]


def is_card(record: Record, named: str | None) -> bool:
    """Whether a record was measured on the card of that name."""
    if named is None or record.gpu is None:
        return False
    stated, measured = find_gpu(named), find_gpu(record.gpu)
    if isinstance(stated, UnknownName) or isinstance(measured, UnknownName):
        return False
    return {one.name for one in measured.members} <= {one.name for one in stated.members}


def set_aside(record: Record, setting: Setting) -> str:
    """Why a record of a setting says nothing of it; empty where it does."""
    for name, version in sorted(setting.stack.versions.items()):
        made_with = record.libraries.get(name)
        if made_with is None:
            return f"it was made without {name}, and the scenario names {name} {version}"
        if not _same_version(version, made_with):
            return f"it was made with {name} {made_with}, and the scenario names {version}"
    took = workspace_bytes(record.gpu, record.libraries)
    if took != workspace_bytes(setting.gpu, setting.stack.versions):
        this, that = (gpu or "a GPU without a name" for gpu in (setting.gpu, record.gpu))
        return f"cuBLAS takes other workspaces on {this} than on {that}, for which it was made"
    return ""


def stack_of(record: Record) -> str:
    """The libraries of a record in one line."""
    return " ".join(f"{name} {version}" for name, version in sorted(record.libraries.items()))


def peak_of(record: Record, setting: Setting, view: str) -> Interval:
    """The peak of a record in bytes, as `view` counts it, on the card of the setting."""
    if view == "allocated":
        counted = (int(record.peak["allocated"]), *map(int, record.peak["blocks"]))
        return _interval(min(counted), max(counted))
    if view == "device" and record.kind is EvidenceKind.MEASURED and is_card(record, setting.gpu):
        return _interval(*map(int, record.peak["device"]))
    low, high = map(int, record.peak["reserved"])
    return _interval(low, high) if view == "reserved" else _interval(*device_interval((low, high), setting.gpu))


def _interval(low: int, high: int) -> Interval:
    return Interval(Fraction(low), Fraction(high))


def plain_of(record: Record) -> tuple[object, ...]:
    """The plain fields of the setting that a record is of, in the order of PLAIN."""
    return tuple(record.setting.get(name, LEFT_OUT.get(name)) for name in PLAIN)


def _same_version(said: str, made_with: str) -> bool:
    """Whether a version is meant by another, which may be said in part: "5.23" means 5.23.0."""
    parts = said.split(".")
    return made_with.split(".")[: len(parts)] == parts


def read_traces(spec: Path, shown_spec: str) -> tuple[Traces | None, list[Finding]]:
    """The traced records beside a spec, and what is wrong with their files; nothing where there is no such folder."""
    folder = spec.parent / FOLDER
    shown = f"{''.join(shown_spec.rpartition('/')[:2])}{FOLDER}"
    if not folder.is_dir():
        return None, []
    records: list[Record] = []
    measured: list[Record] = []
    findings = []
    for one in read_records(folder):
        if isinstance(one, tuple):
            place = Place(f"{shown}/{printable(one[0].name)}")
            findings.append(
                Finding(place, "E101", f"no record of evidence: {printable(one[1])[:200]}", "trace it anew")
            )
        elif one.kind is EvidenceKind.TRACED:
            records.append(one)
        elif one.kind is EvidenceKind.MEASURED and "outcome" not in one.peak:  # of a full card no peak is known
            measured.append(one)
    return Traces(shown, tuple(records), tuple(measured)), findings
