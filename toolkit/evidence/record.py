"""Records: stored evidence, one file for each setting that was traced or measured, with all that produced it.

The identity of a record is a hash of what was run: the setting, the model's config and the libraries, and for a
measurement also the card and its driver. When one of them changes, so does the identity: stale evidence is recognised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from toolkit.evidence.evidence import EvidenceKind
from toolkit.frozen import frozen
from toolkit.spec.settings.setting import OWN, Setting

FOLDER = "evidence"
FORMAT = 1
DIGITS = 12
MAX_BYTES = 4_000_000
INTERVALS = ("blocks", "reserved", "device")
LARGEST = 1 << 60
NOT_RUN = ("gpu", "run")
"""Fields that say where and how long something runs, not what: of a trace, a card changes the workspaces alone."""

ADDED: Mapping[str, Mapping[str, Any]] = {
    "parallel": {
        "zero": None,
        "reshard_after_forward": True,
        "loads_whole": False,
        "limit_all_gathers": None,
        "sync_module_states": None,
        "backward_prefetch": "pre",
        "use_orig_params": None,
        "wraps_embeddings": False,
        "quant_storage": None,
        "schedule": None,
        "returns_outputs": True,
        "stage_layers": [],
        "chunks": 1,
        "optimizer_shards": 1,
        "tensor_parallel": 1,
    },
    "lora": {
        "dora": False,
        "bias": False,
        "modules_to_save": [],
        "frozen": None,
        "blocks": 1,
        "blocked_a": [],
        "blocked_b": [],
    },
    "stack": {"result": None},
}
"""Fields that groups gained after records had been written, each with the value that those older runs had."""

LEFT_OUT: Mapping[str, Any] = {
    "peft": None, "galore": None, "padding": False, "packing": "none", "samples_per_row": 1, "warmup": False,
    "evaluation": "none", "sampling": "greedy", "loading": None, "checkpoint_dtype": None, "earlier_passes": "none",
    "expandable_segments": False,
    "objective": "next-token", "reference": None, "answer_length": 0, "optimizer_in_backward": False,
    "activation_offloading": False, "uncached": False, "validation": None,
    "cache": None, "upcast": None, "group_size": 128, "desc_act": False,
    "kernels": asdict(OWN),
}  # fmt: skip
"""The same for fields outside groups."""


@frozen
class Record:
    """One trace or measurement. `peak` maps allocated, reserved and device to bytes or to [low, high]."""

    kind: EvidenceKind
    scenario: str
    setting: Mapping[str, Any]
    config_hash: str
    libraries: Mapping[str, str]
    gpu: str | None
    peak: Mapping[str, Any]
    phases: tuple[Mapping[str, Any], ...]
    made: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """The fingerprint of what was run, in hexadecimal."""
        what: dict[str, Any] = {
            "kind": self.kind.value,
            "setting": self.setting,
            "config": self.config_hash,
            "libraries": dict(self.libraries),
            "gpu": self.gpu if self.kind is EvidenceKind.MEASURED else None,
        }
        if self.kind is EvidenceKind.MEASURED:
            what["driver"] = self.driver
        return hashlib.sha256(_canonical(what).encode("ascii")).hexdigest()[:DIGITS]

    @property
    def driver(self) -> tuple[str, str]:
        """The driver of a measurement's card and its release of CUDA, where known; both are part of the identity."""
        return str(self.made.get("driver", "")), str(self.made.get("cuda", ""))

    @property
    def name(self) -> str:
        """The name of the record's file: kind, scenario and identity."""
        plain = "".join(
            letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "-" for letter in self.scenario
        )
        return f"{self.kind.value}-{plain[:60]}-{self.identity}.json"

    @property
    def _plain(self) -> dict[str, Any]:
        return {**{one.name: getattr(self, one.name) for one in fields(self)}, "kind": self.kind.value}

    @property
    def digest(self) -> str:
        """A hash of the whole content, by which a file that was changed by hand is recognised."""
        return hashlib.sha256(_canonical(self._plain).encode("ascii")).hexdigest()[:DIGITS]

    def text(self) -> str:
        """The content of the record's file; the same bytes for the same record."""
        whole = {"format": FORMAT, "identity": self.identity, "digest": self.digest, **self._plain}
        return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def setting_key(setting: Setting) -> dict[str, Any]:
    """The part of a setting that decides what is run, as plain values."""
    run = {one.name: getattr(setting, one.name) for one in fields(setting) if one.name not in NOT_RUN}
    loaded: dict[str, Any] = json.loads(json.dumps(run, default=asdict))
    for group, added in ADDED.items():
        if loaded[group] is not None:
            loaded[group] = _without_defaults(loaded[group], added)
    return _without_defaults(loaded, LEFT_OUT)


def _without_defaults(said: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without those at their old value, so that records from before a field existed keep their identity."""
    return {name: value for name, value in said.items() if name not in added or value != added[name]}


def read_records(folder: Path) -> Iterator[Record | tuple[Path, str]]:
    """The records of a folder, by name; for a file that is no valid record, its path and the reason."""
    for path in sorted(folder.glob("*.json")):
        found = read_record(path)
        yield found if isinstance(found, Record) else (path, found)


def read_record(path: Path) -> Record | str:
    """The record in a file, or the reason why it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return f"larger than {MAX_BYTES:,} bytes"
        return record_from(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return str(error) or type(error).__name__


def record_from(loaded: Any) -> Record:
    """A record from loaded JSON. Raises ValueError, KeyError or TypeError where it is not one."""
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise ValueError(f"not a record of format {FORMAT}")
    record = Record(
        kind=EvidenceKind(loaded["kind"]),
        scenario=str(loaded["scenario"]),
        setting=dict(loaded["setting"]),
        config_hash=str(loaded["config_hash"]),
        libraries=dict(loaded["libraries"]),
        gpu=None if loaded["gpu"] is None else str(loaded["gpu"]),
        peak=_peak(dict(loaded["peak"])),
        phases=tuple(loaded["phases"]),
        made=dict(loaded["made"]),
    )
    if (record.identity, record.digest) != (loaded.get("identity"), loaded.get("digest")):
        raise ValueError("its contents are not those that were written: it was changed by hand, or by another version")
    return record


def _peak(peak: dict[str, Any]) -> dict[str, Any]:
    """The peak of a record. Raises ValueError where its numbers of bytes are invalid."""
    for name in INTERVALS:
        ends = peak[name]
        if not (isinstance(ends, list) and len(ends) == 2 and all(map(_is_size, ends)) and ends[0] <= ends[1]):
            raise ValueError(f"its {name} bytes are no interval")
    if not _is_size(peak["allocated"]):
        raise ValueError("its allocated bytes are not a number")
    return peak


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
