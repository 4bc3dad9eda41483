"""Reads the table of GPUs and works out what of each card's memory a program can use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.facts.gpu import Gpu, Reading

DATA = Path(__file__).parent / "data" / "gpus.json"

GIB = 2**30
MIB = 2**20
UNITS = {"GiB": GIB, "MiB": MIB}


@cache
def table() -> Mapping[str, Any]:
    """Read the table as it is written."""
    read: Mapping[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return read


@cache
def gpus() -> tuple[Gpu, ...]:
    """List every card, in the order of the table."""
    return tuple(_gpu(entry) for entry in table()["gpus"])


def _gpu(entry: Mapping[str, Any]) -> Gpu:
    family = table()["families"][entry["family"]]
    architecture = table()["architectures"][entry["architecture"]]
    readings = tuple(_reading(reading) for reading in entry["readings"])
    marketing = entry["memory"] * GIB
    low, high, kind = usable(marketing, readings, family)
    context_low, context_high = (mib * MIB for mib in family["context"])
    rule = "the smallest to the largest reading" if kind == "reported" else family["rule"]
    return Gpu(
        name=entry["name"],
        vendor=family["vendor"],
        aliases=tuple(entry["aliases"]),
        marketing_bytes=marketing,
        usable_low=low,
        usable_high=high,
        usable_kind=kind,
        usable_rule=rule,
        architecture=entry["architecture"],
        context_low=context_low,
        context_high=context_high,
        cublas_workspace=architecture["blas_workspace"],
        peak_flops=architecture.get("peak_flops"),
        sold_as=tuple(size * GIB for size in (entry["memory"], *entry.get("also_sold_as", ()))),
        readings=readings,
        note=entry.get("note"),
        sources=tuple(dict.fromkeys(reading.source for reading in readings)) or (family["source"],),
    )


def _reading(entry: Mapping[str, str]) -> Reading:
    """Read a total as the interval that its digits round to, in bytes."""
    digits, unit = entry["value"].split()
    whole, _, fraction = digits.partition(".")
    scale = 10 ** len(fraction)
    printed = int(whole + fraction)
    low = (2 * printed - 1) * UNITS[unit] // (2 * scale)
    high = -(-(2 * printed + 1) * UNITS[unit] // (2 * scale))
    return Reading(entry["kind"], entry["value"], entry["source"], low, high)


def usable(marketing: int, readings: tuple[Reading, ...], family: Mapping[str, Any]) -> tuple[int, int, str]:
    """Work out what programs can use: lowest and highest bytes, and "reported" or "derived".

    A card is "reported" when PyTorch's total was read under Linux, whose drivers keep more of it than those
    of Windows. There CUDA reports about what nvidia-smi shows, so a card used with both reaches up to that.
    """
    shown = [reading for reading in readings if reading.kind == "nvidia-smi"]
    seen = [reading for reading in readings if reading.kind == "cuda"]
    share_low, share_high = (_share(marketing, text) for text in family["total"])
    total_low = min((reading.low for reading in shown), default=share_low)
    total_high = max((reading.high for reading in shown), default=share_high)
    lowest = min((reading.low for reading in seen), default=marketing)
    if family["windows"]:
        reported = lowest < (total_high - WINDOWS_GAP if shown else _share(marketing, WINDOWS_SHARE))
    else:
        reported = bool(seen)
    low = lowest if reported else min(lowest, total_low - family["reserve"][1] * MIB)
    high = max((reading.high for reading in seen), default=0)
    if family["windows"] or not reported:
        high = max(high, total_high - family["reserve"][0] * MIB)
    return low, min(high, marketing), "reported" if reported else "derived"


WINDOWS_GAP = 32 * MIB
"""A total that is this near to what nvidia-smi shows may be one of Windows."""

WINDOWS_SHARE = "0.993"
"""A total above this share of what a card is sold with may be one of Windows."""


def _share(marketing: int, text: str) -> int:
    whole, _, fraction = text.partition(".")
    scale: int = 10 ** len(fraction)
    return marketing * int(whole + fraction) // scale
