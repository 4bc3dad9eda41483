"""The table itself: its form, its sources, and that what is derived holds what was seen."""

import re

import pytest

from toolkit.facts.gpu_table import GIB, MIB, gpus, table
from toolkit.facts.gpus import GPUS, Gpu, find_gpu, key_of

TABLE = table()
ENTRIES = {entry["name"]: entry for entry in TABLE["gpus"]}

ENTRY_KEYS = {"name", "family", "architecture", "memory", "also_sold_as", "aliases", "note", "readings"}
FAMILY_KEYS = {"vendor", "total", "reserve", "windows", "context", "rule", "context_source", "source"}


def test_the_form_of_the_table():
    assert set(TABLE) == {
        "memory_unit",
        "kinds",
        "blas_workspace_source",
        "peak_flops_source",
        "architectures",
        "eager_context",
        "families",
        "gpus",
        "groups",
    }
    for family in TABLE["families"].values():
        assert set(family) == FAMILY_KEYS
        assert family["rule"]
        assert family["source"]
        assert family["context_source"]
        low, high = family["context"]
        assert 0 < low < high
    for architecture in TABLE["architectures"].values():
        further = {"blas_workspace_before", "peak_flops"}
        assert {"name", "blas_workspace"} <= set(architecture) <= {"name", "blas_workspace", *further}
        assert set(architecture.get("blas_workspace_before", {})) in (set(), {"torch", "bytes"})
    for group in TABLE["groups"]:
        assert set(group) == {"name", "aliases", "members"}
        assert len(group["members"]) > 1


@pytest.mark.parametrize("entry", TABLE["gpus"], ids=lambda entry: entry["name"])
def test_the_form_of_an_entry(entry):
    assert set(entry) <= ENTRY_KEYS
    assert {"name", "family", "architecture", "memory", "aliases", "readings"} <= set(entry)
    assert entry["family"] in TABLE["families"]
    assert entry["architecture"] in TABLE["architectures"]
    assert isinstance(entry["memory"], int)
    for reading in entry["readings"]:
        assert set(reading) == {"kind", "value", "source"}
        assert reading["kind"] in TABLE["kinds"]
        assert re.fullmatch(r"\d+(\.\d+)? (GiB|MiB)", reading["value"])
        assert len(reading["source"]) > 10


def test_each_name_and_alias_means_one_thing():
    keys = [key_of(name) for gpu in GPUS for name in (gpu.name, *gpu.aliases)]
    keys += [key_of(name) for group in TABLE["groups"] for name in (group["name"], *group["aliases"])]
    assert all(keys)
    assert len(keys) == len(set(keys))


def test_every_name_and_alias_is_found():
    for gpu in GPUS:
        for name in (gpu.name, gpu.name.upper(), gpu.name.replace(" ", ""), *gpu.aliases):
            assert find_gpu(name) is gpu, name


def test_groups_name_cards_of_the_table():
    for group in TABLE["groups"]:
        found = find_gpu(group["name"])
        assert [gpu.name for gpu in found.members] == group["members"]


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_the_intervals_are_sound(gpu: Gpu):
    assert 0 < gpu.usable_low <= gpu.usable_high <= gpu.marketing_bytes
    assert gpu.usable_low > gpu.marketing_bytes * 8 // 10
    assert gpu.usable_kind in ("reported", "derived")
    assert gpu.sources
    assert gpu.usable_rule
    assert gpu.marketing_bytes in gpu.sold_as
    assert gpu.context_low < gpu.context_high < gpu.usable_low


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_what_was_seen_lies_within(gpu: Gpu):
    for reading in gpu.readings:
        assert reading.low < reading.high
        assert reading.high <= gpu.marketing_bytes + 6 * MIB  # "24.00 GiB" is printed with two digits
        if reading.kind == "cuda":
            assert gpu.usable_low <= reading.low
            assert min(reading.high, gpu.marketing_bytes) <= gpu.usable_high


def test_a_reported_card_has_a_reading():
    for gpu in GPUS:
        assert gpu.usable_kind == "derived" or any(reading.kind == "cuda" for reading in gpu.readings)


LESS_THAN_SOLD = {"B300", "GB300", "Radeon PRO V620"}  # HBM kept back, ECC on


@pytest.mark.parametrize("gpu", [gpu for gpu in GPUS if gpu.name not in LESS_THAN_SOLD], ids=lambda gpu: gpu.name)
def test_the_rule_of_the_family_would_hold_what_was_seen(gpu: Gpu):
    """So that the cards of which nothing is known are given an interval that is wide enough."""
    family = TABLE["families"][ENTRIES[gpu.name]["family"]]
    lowest = gpu.marketing_bytes * float(family["total"][0]) - family["reserve"][1] * MIB
    for reading in gpu.readings:
        assert reading.low >= lowest - 1


def test_the_reserve_is_the_largest_gap_seen():
    for gpu in GPUS:
        family = TABLE["families"][ENTRIES[gpu.name]["family"]]
        shown = [reading.low for reading in gpu.readings if reading.kind == "nvidia-smi"]
        seen = [reading.low for reading in gpu.readings if reading.kind == "cuda"]
        if shown and seen and family["total"][0] != "0.937":
            assert max(shown) - min(seen) <= family["reserve"][1] * MIB, gpu.name


def test_workspaces_by_architecture():
    small = {gpu.architecture for gpu in GPUS if gpu.cublas_workspace == 8_519_680}
    large = {gpu.architecture for gpu in GPUS if gpu.cublas_workspace == 32 * MIB}
    assert {"sm_75", "sm_80", "sm_86", "sm_89"} <= small
    assert {"sm_90", "sm_100", "sm_120"} <= large


def test_what_the_sources_say_of_known_cards():
    assert find_gpu("RTX 4070 Ti SUPER").usable_low <= 15.58 * GIB <= find_gpu("RTX 4070 Ti SUPER").usable_high
    assert round(find_gpu("H100 80GB HBM3").usable_low / GIB, 1) == 79.1
    assert round(find_gpu("B200").usable_high / GIB, 1) == 178.4
    assert len(gpus()) >= 150
