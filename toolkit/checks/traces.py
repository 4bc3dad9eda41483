"""The traced and measured records beside a spec, each evidence about the one setting that was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path

from toolkit.checks.other_card import SAME, grown, is_card
from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import FOLDER, LEFT_OUT, NOT_RUN, Record, read_records, setting_key
from toolkit.finding import Finding, Place, printable
from toolkit.spec.settings.setting import Setting

VIEWS = ("allocated", "reserved", "device")

GROUPED = ("lora", "peft", "galore", "kernels", "cache", "parallel", "stack", "engine")

PLAIN = tuple(one.name for one in fields(Setting) if one.name not in (*NOT_RUN, *GROUPED))
"""The fields of a setting that are plain values; they are compared first, as that is cheap."""

PLAIN_OF = attrgetter(*PLAIN)
"""Reads the plain fields of a setting."""


MADE_ANEW: Mapping[str, str] = {EvidenceKind.TRACED: "trace it anew", EvidenceKind.MEASURED: "measure it anew"}
"""What to do about a record that cannot be used, by its kind."""

NAMED: Mapping[str, str] = {EvidenceKind.TRACED: "trace", EvidenceKind.MEASURED: "measurement"}
"""What a record is called, by its kind."""


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
        """The record of exactly this setting and config.

        A measurement is preferred to a trace, and a record of the setting's own card to that of another.
        """
        known = self._found.get(id(setting))
        if known is None:
            alike = self._alike.get(PLAIN_OF(setting), [])
            whole = setting_key(setting) if alike else {}
            found = [one for one in alike if one.config_hash == config_hash and one.setting == whole]
            record = min(found, key=lambda one: _rank(one, setting), default=None)
            known = self._found[id(setting)] = setting, record  # with the setting, so that its id stays its own
        return known[1]


def _rank(record: Record, setting: Setting) -> tuple[bool, ...]:
    """The disadvantages of a record, the weightiest first: records are ordered by them."""
    return (
        bool(set_aside(record, setting)),
        record.kind is not EvidenceKind.MEASURED,
        not is_card(record, setting.gpu),
        grown(record, setting) != SAME,
    )


def set_aside(record: Record, setting: Setting) -> str:
    """Why a record of a setting cannot be used for it, having run with other releases; empty where it can."""
    for name, version in sorted(setting.stack.versions.items()):
        made_with = record.libraries.get(name)
        if made_with is None:
            return f"it was made without {name}, and the scenario names {name} {version}"
        if not _same_version(version, made_with):
            return f"it was made with {name} {made_with}, and the scenario names {version}"
    return ""


def stack_of(record: Record) -> str:
    """The libraries of a record in one line."""
    return " ".join(f"{name} {version}" for name, version in sorted(record.libraries.items()))


def plain_of(record: Record) -> tuple[object, ...]:
    """The plain fields of the setting that a record is of, in the order of PLAIN."""
    return tuple(record.setting.get(name, LEFT_OUT.get(name)) for name in PLAIN)


def _same_version(said: str, made_with: str) -> bool:
    """Whether a version matches a stated one, which may be shorter: "5.23" matches 5.23.0."""
    parts = said.split(".")
    return made_with.split(".")[: len(parts)] == parts


def read_traces(spec: Path, shown_spec: str) -> tuple[Traces | None, list[Finding]]:
    """The records in the folder beside a spec, and findings about unreadable ones; None without such a folder."""
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
            message = f"no record of evidence: {printable(one[1])[:200]}"
            findings.append(Finding(place, "E101", message, _made_anew(one[0].name)))
        elif one.kind is EvidenceKind.TRACED:
            records.append(one)
        elif one.kind is EvidenceKind.MEASURED and "outcome" not in one.peak:  # a run that did not fit has no peak
            measured.append(one)
    return Traces(shown, tuple(records), tuple(measured)), findings


def _made_anew(name: str) -> str:
    """What to do about a file that holds no valid record, by the kind in its name."""
    kind = name.partition("-")[0]
    return MADE_ANEW.get(kind, "trace or measure it anew")
