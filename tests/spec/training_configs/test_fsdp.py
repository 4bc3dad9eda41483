"""How FSDP makes units and gathers them, by the keys of transformers and accelerate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.spec.training_configs.reading import fields, mistakes, remarked

SAID = {"model": "Qwen/Qwen2.5-0.5B", "method": "full", "parallel__gpus": "2"}


def arguments(**fsdp_config: Any) -> str:
    """The first FSDP, unless it is said to be another."""
    return json.dumps({"fsdp": "full_shard auto_wrap", "fsdp_config": {"version": 1, **fsdp_config}})


def taken(tmp_path: Path, **fsdp_config: Any) -> dict[str, Any]:
    return fields(tmp_path, arguments(**fsdp_config), "transformers", **SAID)


def warned(tmp_path: Path, **fsdp_config: Any) -> list[str]:
    return [one for one in remarked(tmp_path, arguments(**fsdp_config), "transformers", **SAID) if "fsdp" in one]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, "none"),
        ({"backward_prefetch": "BACKWARD_PRE"}, "pre"),
        ({"fsdp_backward_prefetch": "backward_post"}, "post"),
        ({"backward_prefetch": "NO_PREFETCH"}, "none"),
        ({"fsdp_backward_prefetch_policy": "BACKWARD_PRE"}, "pre"),
    ],
)
def test_when_a_unit_is_gathered_ahead(tmp_path: Path, said: dict[str, str], meant: str) -> None:
    """TrainingArguments ask for no gathering ahead where nothing is said, which torch itself does."""
    assert taken(tmp_path, **said)["parallel.backward_prefetch"] == meant


@pytest.mark.parametrize("fsdp", [False, "false", "", [], None])
def test_where_it_is_not_asked_for_there_is_none(tmp_path: Path, fsdp: object) -> None:
    found = fields(tmp_path, json.dumps({"fsdp": fsdp}), "transformers", **SAID)
    assert found["parallel.strategy"] == "ddp"


@pytest.mark.parametrize(("release", "strategy"), [(None, "fsdp2"), ("5.10.0", "fsdp2"), ("5.9.0", "fsdp")])
def test_which_one_it_is_where_nothing_is_said(tmp_path: Path, release: str | None, strategy: str) -> None:
    """fsdp_config.get("version", 1) in 5.9.0, and 2 in 5.10.0."""
    said = {**SAID, **({"stack__transformers": release} if release else {})}
    for asked in (True, "full_shard"):
        found = fields(tmp_path, json.dumps({"fsdp": asked}), "transformers", **said)
        assert found["parallel.strategy"] == strategy


def test_offloading_has_had_two_names(tmp_path: Path) -> None:
    assert taken(tmp_path, cpu_offload=True)["parallel.offload"] is True
    assert taken(tmp_path, offload_params=True)["parallel.offload"] is True


def test_fully_shard_has_none_of_it(tmp_path: Path) -> None:
    found = taken(tmp_path, version=2, backward_prefetch="BACKWARD_PRE", sync_module_states=True)
    assert {name for name in found if name.startswith("parallel.")} == {"parallel.strategy", "parallel.gpus"}
    kept = taken(tmp_path, version=2, reshard_after_forward=False)
    assert kept["parallel.reshard_after_forward"] is False


@pytest.mark.parametrize("said", [{"sharding_strategy": "SHARD_GRAD_OP"}, {"fsdp_sharding_strategy": 2}])
def test_layers_that_stay_gathered(tmp_path: Path, said: dict[str, Any]) -> None:
    found = taken(tmp_path, **said)
    assert (found["parallel.strategy"], found["parallel.reshard_after_forward"]) == ("fsdp", False)
    option = json.dumps({"fsdp": ["shard_grad_op", "auto_wrap"]})
    assert fields(tmp_path, option, "transformers", **SAID)["parallel.reshard_after_forward"] is False
    assert taken(tmp_path, reshard_after_forward="shard_grad_op")["parallel.reshard_after_forward"] is False


def test_who_waits_and_who_sends(tmp_path: Path) -> None:
    found = taken(tmp_path, limit_all_gathers=False, fsdp_sync_module_states=False)
    assert (found["parallel.limit_all_gathers"], found["parallel.sync_module_states"]) == (False, False)


def test_what_the_optimizer_has(tmp_path: Path) -> None:
    assert taken(tmp_path, fsdp_use_orig_params=False)["parallel.use_orig_params"] is False
    assert taken(tmp_path, use_orig_params="true")["parallel.use_orig_params"] is True
    assert "parallel.use_orig_params" not in taken(tmp_path, version=2, use_orig_params=True)


def test_embeddings_may_be_units(tmp_path: Path) -> None:
    classes = ["Qwen2DecoderLayer", "Embedding"]
    assert taken(tmp_path, transformer_layer_cls_to_wrap=classes)["parallel.wraps_embeddings"] is True
    assert warned(tmp_path, transformer_layer_cls_to_wrap=classes) == []
    assert "parallel.wraps_embeddings" not in taken(tmp_path, transformer_layer_cls_to_wrap=classes[:1])
    assert "parallel.wraps_embeddings" not in taken(tmp_path, version=2, transformer_layer_cls_to_wrap=classes)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"auto_wrap_policy": "SIZE_BASED_WRAP"}, "fsdp_config.auto_wrap_policy: units that are made by their size"),
        ({"min_num_params": 1_000_000}, "fsdp_config.min_num_params: units that are made by their size"),
        ({"fsdp_forward_prefetch": True}, "fsdp_config.fsdp_forward_prefetch: a layer more"),
        ({"transformer_layer_cls_to_wrap": ["Qwen2DecoderLayer", "Linear"]}, "that Linear is a unit of its own"),
    ],
)
def test_units_that_are_not_followed_are_named(tmp_path: Path, said: dict[str, Any], reason: str) -> None:
    (found,) = warned(tmp_path, **said)
    assert reason in found


@pytest.mark.parametrize("name", ["Qwen2DecoderLayer", "GPT2Block", "T5Block,BertLayer"])
def test_layers_are_what_units_are_taken_to_be(tmp_path: Path, name: str) -> None:
    assert not warned(tmp_path, transformer_layer_cls_to_wrap=name, auto_wrap_policy="TRANSFORMER_BASED_WRAP")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"auto_wrap_policy": "NO_WRAP"}, "no formula for a whole model as one unit"),
        ({"backward_prefetch": "SOMETIMES"}, "SOMETIMES is not a way to gather ahead; known: BACKWARD_PRE"),
    ],
)
def test_what_stops_the_reading(tmp_path: Path, said: dict[str, str], reason: str) -> None:
    (found,) = mistakes(tmp_path, arguments(**said), "transformers", **SAID)
    assert reason in found


def test_a_dump_of_arguments_without_fsdp_is_not_remarked(tmp_path: Path) -> None:
    said = {"fsdp": "", "fsdp_config": {"backward_prefetch": "BACKWARD_PRE", "min_num_params": 0, "xla": False}}
    assert not [one for one in remarked(tmp_path, json.dumps(said), "transformers", **SAID) if "fsdp" in one]
