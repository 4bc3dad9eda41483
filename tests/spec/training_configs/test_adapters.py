"""The sizes of adapters, as three tools that run peft write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields

AXOLOTL = "base_model: Qwen/Qwen2.5-0.5B\nadapter: lora\nlora_target_linear: true\n"
LLAMAFACTORY = "model_name_or_path: Qwen/Qwen2.5-0.5B\nstage: sft\ndo_train: true\n"
TRL = "model_name_or_path: Qwen/Qwen2.5-0.5B\nuse_peft: true\n"
TOOLS = {
    "axolotl": (AXOLOTL + "lora_r: 16\n", "lora_r", "peft_use_dora"),
    "llamafactory": (LLAMAFACTORY, "lora_rank", "use_dora"),
    "trl": (TRL, "lora_r", "use_dora"),
}


@pytest.mark.parametrize(
    ("tool", "rank", "dropout"), [("axolotl", 16, 0.0), ("llamafactory", 8, 0.0), ("trl", 16, 0.05)]
)
def test_what_each_tool_takes_when_nothing_is_said(tmp_path: Path, tool: str, rank: int, dropout: float) -> None:
    found = fields(tmp_path, TOOLS[tool][0], tool)
    assert (found["lora.rank"], found["lora.dropout"]) == (rank, dropout)
    assert "lora.dora" not in found


@pytest.mark.parametrize("tool", TOOLS)
def test_dora_is_taken(tmp_path: Path, tool: str) -> None:
    text, _, key = TOOLS[tool]
    assert fields(tmp_path, f"{text}{key}: true\n", tool)["lora.dora"] is True
    assert "lora.dora" not in fields(tmp_path, f"{text}{key}: false\n", tool)


@pytest.mark.parametrize("tool", ["llamafactory", "trl"])
def test_sizes_are_taken_as_they_are_said(tmp_path: Path, tool: str) -> None:
    text, rank, _ = TOOLS[tool]
    found = fields(tmp_path, f"{text}{rank}: 64\nlora_alpha: 32\nlora_dropout: 0.1\n", tool)
    assert (found["lora.rank"], found["lora.alpha"], found["lora.dropout"]) == (64, 32, 0.1)
