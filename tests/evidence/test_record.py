"""Records of evidence: written once, read back the same, and never read where they were touched."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import Record, read_records, setting_key
from toolkit.spec.settings.setting import Galore, Kernels, Lora, Parallel, Setting

SETTING = Setting("Qwen/Qwen2.5-0.5B", "lora", "bf16", lora=Lora(8, 16, ("q_proj", "v_proj")))
RECORD = Record(
    kind=EvidenceKind.TRACED,
    scenario="guide/run 1",
    setting=setting_key(SETTING),
    config_hash="0123456789abcdef",
    libraries={"torch": "2.13.0"},
    gpu="T4",
    peak={
        "phase": "backward", "operation": "aten::mm", "allocated": 1_000, "blocks": [1_024, 1_024],
        "reserved": [2_048, 4_096], "device": [9_000, 10_000], "card": None,
    },
    phases=(),
    made={"date": "2026-01-01"},
)  # fmt: skip


def kept(folder: Path, text: str) -> Path:
    path = folder / RECORD.name
    path.write_text(text, "utf-8")
    return path


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    kept(tmp_path, RECORD.text())
    assert list(read_records(tmp_path)) == [RECORD]


def test_the_name_of_a_file_is_safe_and_changes_with_what_was_run() -> None:
    names = {
        one.name
        for one in (
            RECORD,
            replace(RECORD, config_hash="f" * 16),
            replace(RECORD, libraries={"torch": "2.12.0"}),
            replace(RECORD, setting=setting_key(replace(SETTING, batch_size=2))),
        )
    }
    assert len(names) == 4
    assert all(name.startswith("traced-guide-run-1-") and "/" not in name and " " not in name for name in names)
    assert replace(RECORD, made={"date": "2027-01-01"}).name == RECORD.name


def test_a_card_or_a_length_of_run_is_no_other_setting() -> None:
    assert setting_key(SETTING) == setting_key(replace(SETTING, gpu="H100"))
    assert setting_key(SETTING) != setting_key(replace(SETTING, sequence_length=513))


def test_a_run_of_full_rows_is_known_by_what_was_written_before_padding_could_be_said() -> None:
    assert "padding" not in setting_key(SETTING)
    assert setting_key(replace(SETTING, padding=True)) == {**setting_key(SETTING), "padding": True}


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(RECORD.text()), **fields})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "not a record of format 1"),
        ("[" * 100_000, ""),
        (changed(format=2), "not a record of format 1"),
        (changed(kind="guessed"), "guessed"),
        (changed(identity="0" * 12), "changed by hand"),
        (changed(scenario="another"), "changed by hand"),
        (changed(peak={**RECORD.peak, "allocated": 999}), "changed by hand"),
        (changed(peak={**RECORD.peak, "allocated": "999"}), "allocated bytes"),
        (changed(peak={**RECORD.peak, "allocated": 1e400}), "allocated bytes"),
        (changed(peak={**RECORD.peak, "reserved": [5, 4]}), "reserved bytes"),
        (changed(peak={**RECORD.peak, "device": 7}), "device bytes"),
        (changed(peak={}), "blocks"),
        (changed(phases=7), ""),
    ],
)
def test_what_is_no_record_is_named_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = kept(tmp_path, text)
    (found,) = read_records(tmp_path)
    assert isinstance(found, tuple)
    assert found[0] == path
    assert reason in found[1]
    assert found[1]


def test_what_is_too_large_or_no_text_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * 4_000_001)
    (tmp_path / "other.json").write_bytes(b"\xff\xfe")
    (tmp_path / "a-folder.json").mkdir()
    reasons = [found[1] for found in read_records(tmp_path) if isinstance(found, tuple)]
    assert len(reasons) == 3
    assert "larger than 4,000,000 bytes" in reasons[1]


def test_settings_are_what_they_were_before_more_could_be_said_of_several_gpus() -> None:
    """Records outlive fields: a run that says nothing of a new one is the run that it was."""
    later = {
        "cache",
        "galore",
        "padding",
        "packing",
        "samples_per_row",
        "objective",
        "reference",
        "optimizer_in_backward",
        "activation_offloading",
        "warmup",
        "evaluation",
        "sampling",
        "loading",
        "checkpoint_dtype",
        "earlier_passes",
        "expandable_segments",
        "answer_length",
        "peft",
        "upcast",
        "group_size",
        "kernels",
    }
    assert not later & setting_key(SETTING).keys()
    assert setting_key(replace(SETTING, objective="dpo"))["objective"] == "dpo"
    assert setting_key(replace(SETTING, warmup=True))["warmup"] is True
    assert setting_key(replace(SETTING, upcast=False))["upcast"] is False
    assert setting_key(replace(SETTING, kernels=Kernels(norm=True)))["kernels"]["norm"] is True
    assert setting_key(SETTING)["parallel"] == {"gpus": 1, "strategy": "none", "offload": False}
    cut = replace(SETTING, parallel=Parallel(2, "fsdp2", reshard_after_forward=False))
    assert setting_key(cut)["parallel"]["reshard_after_forward"] is False


def test_a_projection_is_part_of_what_is_run() -> None:
    galored = replace(SETTING, method="full", lora=None, optimizer="galore_adamw", galore=Galore(64, ("mlp",)))
    assert setting_key(galored)["galore"] == {"rank": 64, "targets": ["mlp"], "update_proj_gap": 200}
