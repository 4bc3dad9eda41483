"""Patterns of module names: what Python's own expressions match in a decoder layer is what is read."""

import re
from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, remarked
from toolkit.spec.training_configs.target_patterns import names_of

LAYER = tuple(
    f"{part}.{kind}_proj"
    for part, kinds in (("self_attn", "q k v o"), ("mlp", "gate up down"))
    for kind in kinds.split()
)
PATTERNS = (
    r"model.language_model.layers.[\d]+.(mlp|cross_attn|self_attn).(up|down|gate|q|k|v|o)_proj",
    r"model.language_model.layers.[\d]+.(_checkpoint_wrapped_module.)?(mlp|self_attn).(up|down|gate|q|k|v|o)_proj",
    r"model.layers.[\d]+.(mlp|cross_attn|self_attn).(up|down|gate|q|k|v|o)_proj",
    r"model\.layers\.\d+\.self_attn\.(q|v)_proj",
    r"layers.\d+.mlp.down_proj",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_names_are_those_of_the_modules_that_match(pattern: str) -> None:
    """peft: re.fullmatch of the pattern on the whole name of a module (tuners_utils.py, check_target_module_exists)."""
    place = pattern.split("layers", maxsplit=1)[0].replace("\\.", ".")
    matched = {name for name in LAYER if re.fullmatch(pattern, f"{place}layers.11.{name}")}
    assert matched
    assert set(names_of(pattern) or ()) == matched


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.layers\.(3|7|11)\.self_attn\.(q|k|v|o)_proj",  # of some layers alone
        r"model.layers.[\d]+.(mlp|router).(up|down)_proj",
        r"model.layers.[\d]+.self_attn.(q_a|kv_b)_proj",
        r"(a+)+b",
        "model.layers.[\\d]+." + "(mlp|" * 60 + "x",
        "w" * 1_000_000,
    ],
)
def test_other_patterns_are_not_read(pattern: str) -> None:
    assert names_of(pattern) is None


def test_a_configuration_with_a_pattern(tmp_path: Path) -> None:
    text = "base_model: Qwen/Qwen3-8B\nadapter: lora\nlora_r: 8\nbf16: true\n"
    read = f"{text}lora_target_modules: '{PATTERNS[2]}'\n"
    assert set(fields(tmp_path, read, "axolotl")["lora.targets"] or ()) == set(LAYER)  # type: ignore[arg-type]
    assert "the pattern is read as" in remarked(tmp_path, f"{read}lora_o_kernel: false\n", "axolotl")[0]
    assert "of this form is not followed" in mistakes(tmp_path, f"{text}lora_target_modules: '.*_proj'\n", "axolotl")[0]
