"""The modules that are trained whole beside adapters, as a scenario lists them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.evidence.record import setting_key
from toolkit.spec.load import scenario_from_flags
from toolkit.spec.settings.decide import decide
from toolkit.spec.settings.setting import Lora, Setting

FLAGS = {"model": "Qwen/Qwen2.5-0.5B", "method": "lora", "lora.rank": "8", "lora.targets": "all-linear"}
FIELD = "lora.modules_to_save"


def test_names_are_one_value_in_the_order_in_which_they_stand() -> None:
    scenario, findings = scenario_from_flags({**FLAGS, FIELD: "[lm_head, embed_tokens]"}, Path())
    assert scenario is not None
    assert not findings
    lora = decide(scenario, {}).lora
    assert lora is not None
    assert lora.modules_to_save == ("lm_head", "embed_tokens")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("all-linear", "all-linear is not a list of module names"),
        ("[a/b]", "a/b is not a module name"),
        ("[lm_head, lm_head]", "listed twice"),
        ("[]", "0 names"),
    ],
)
def test_what_is_no_list_of_names_is_an_error(said: str, words: str) -> None:
    scenario, findings = scenario_from_flags({**FLAGS, FIELD: said}, Path())
    assert scenario is None
    assert [words in one.message for one in findings] == [True], [str(one) for one in findings]


def test_it_is_for_adapters_alone() -> None:
    _, findings = scenario_from_flags({"model": FLAGS["model"], "method": "full", FIELD: "[lm_head]"}, Path())
    assert ["adapters: of methods lora and qlora" in one.message for one in findings] == [True]


def test_records_of_runs_without_it_keep_their_identity() -> None:
    plain = Setting("m", "lora", "bf16", lora=Lora(8))
    copied = replace(plain, lora=Lora(8, modules_to_save=("lm_head",)))
    assert "modules_to_save" not in setting_key(plain)["lora"]
    assert setting_key(copied)["lora"]["modules_to_save"] == ["lm_head"]
