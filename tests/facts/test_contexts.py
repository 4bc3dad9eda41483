"""CUDA contexts by card and release, against figures that others published."""

from __future__ import annotations

import pytest

from toolkit.facts.contexts import context_of, loads_all
from toolkit.facts.gpu import Gpu
from toolkit.facts.gpus import find_gpu

MIB = 1 << 20


@pytest.mark.parametrize(
    ("versions", "all_at_once"),
    [
        ({}, False),
        ({"torch": "1.12.1"}, True),
        ({"torch": "1.13"}, False),
        ({"torch": "1.13.1+cu116"}, True),
        ({"torch": "1.13.1+cu117"}, False),
        ({"torch": "2.1.1+cu118"}, False),
        ({"torch": "2.9.0.dev20250815+cu128"}, False),
        ({"torch": "2.0.1", "cuda": "11.4"}, True),
        ({"cuda": "12.4"}, False),
        ({"torch": "of last year"}, False),
    ],
)
def test_kernels_are_loaded_lazily_since_cuda_11_7_and_torch_1_13(versions: dict[str, str], all_at_once: bool) -> None:
    assert loads_all(versions) is all_at_once


# What a monitor showed beyond PyTorch's memory, in MiB; each in the sources of the table, those of A100 in readings.
@pytest.mark.parametrize(
    ("gpu", "versions", "seen"),
    [
        ("RTX 3090", {"torch": "2.7.1+cu128"}, 256),
        ("RTX 3090", {"torch": "2.2.0"}, 738),  # as a model is loaded
        ("RTX 3090", {"torch": "2.2.0"}, 1_114),  # once it has run forward and backward
        ("RTX 3090", {"torch": "1.7.1+cu110"}, 1_480),
        ("RTX 6000 Ada", {"torch": "2.10+cu130"}, 426),
        ("V100 16GB", {"torch": "1.10.1", "cuda": "11.2"}, 1_343),
        ("A100 SXM4 80GB", {"torch": "2.1.1+cu118"}, 1_406),
        ("A100 SXM4 80GB", {"torch": "2.1.1+cu121"}, 1_428),
    ],
)
def test_a_context_that_was_seen_is_inside(gpu: str, versions: dict[str, str], seen: int) -> None:
    card = find_gpu(gpu)
    assert isinstance(card, Gpu)
    low, high = context_of(card, versions)
    assert low <= seen * MIB <= high


def test_what_all_kernels_take_is_known_of_one_vendor() -> None:
    card = find_gpu("MI300X")
    assert isinstance(card, Gpu)
    assert context_of(card, {"torch": "1.12"}) == (card.context_low, card.context_high)
