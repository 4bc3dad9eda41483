"""What is not measured is said before anything is started; nothing that is refused runs as if it were not asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.measure.jobs import job
from toolkit.memory.measure import refused
from toolkit.memory.measure.refused import missing, refusal
from toolkit.spec.settings.setting import Parallel, Stack

TRL = Stack(trainer="trl", loss="chunked")
REFUSED: dict[str, dict[str, Any]] = {
    "steps inside of backward": {"optimizer_in_backward": True, "stack": Stack(trainer="plain")},
    "offloaded activations": {
        "activation_offloading": True, "gradient_checkpointing": "non-reentrant", "stack": TRL,
    },
    "the objective dpo": {"objective": "dpo", "reference": "precomputed", "stack": TRL},
    "packed rows": {"packing": "padding-free", "attention": "flash", "stack": TRL},
    "weights in MXFP4": {"weights": "mxfp4", "method": "inference"},
    "loading moved": {"loading": "moved"},
    "it has run nothing before": {"earlier_passes": "training"},
    "FlashAttention": {"attention": "flash"},
    "tensor on several GPUs": {"parallel": Parallel(2, "tensor")},
    "an engine takes its share": {"method": "inference", "stack": Stack(trainer="vllm")},
    "code of litgpt": {"stack": Stack(trainer="litgpt")},
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_the_measuring_code_does_not_run_is_refused_by_name(words: str) -> None:
    reason = refusal(job(**REFUSED[words]).setting)
    assert words in reason or (words == "packed rows" and "FlashAttention" in reason)


@pytest.mark.parametrize("fields", [{}, {"method": "inference", "packing": "rows"}, {"parallel": Parallel(2, "fsdp2")}])
def test_what_it_runs_is_not(fields: dict[str, Any]) -> None:
    assert refusal(job(**fields).setting) == ""


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ""),
        ({"weights": "nf4", "method": "inference", "optimizer": "adamw_8bit"}, "bitsandbytes not installed"),
        ({"optimizer": "paged_adamw"}, "bitsandbytes not installed"),
        ({"optimizer": "adamw_8bit", "stack": TRL}, "bitsandbytes, trl not installed"),
        ({"method": "inference", "stack": TRL}, ""),
    ],
)
def test_a_library_that_a_setting_needs_is_looked_for_before_a_process_is_started(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], names: str
) -> None:
    monkeypatch.setattr(refused, "find_spec", lambda _: None)
    assert missing(job(**fields).setting) == names
    monkeypatch.setattr(refused, "find_spec", lambda name: name)
    assert missing(job(**fields).setting) == ""
