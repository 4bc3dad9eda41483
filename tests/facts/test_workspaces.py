"""Workspaces of BLAS by card and release, against what PyTorch's pull requests say and what others read."""

from __future__ import annotations

import pytest

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.facts.workspaces import workspace_of

MIB = 1 << 20
SMALL = 2 * 4096 * 1024 + 8 * 16 * 1024
"""cuBLAS's :4096:2:16:8."""


@pytest.mark.parametrize(
    ("gpu", "versions", "taken"),
    [
        ("RTX 5090", {}, 32 * MIB),
        ("RTX 5090", {"torch": "2.8.0+cu128"}, SMALL),
        ("RTX 5090", {"torch": "2.10.0"}, SMALL),  # of January 2026; the pull request is of February
        ("RTX 5090", {"torch": "2.13.0+cu130"}, 32 * MIB),
        ("RTX 5090", {"torch": "of last year"}, 32 * MIB),
        ("B200", {"torch": "2.9.1"}, SMALL),
        ("H100", {"torch": "2.8.0"}, 32 * MIB),
        ("RTX 4090", {"torch": "2.13.0"}, SMALL),
        ("32 GB", {"torch": "2.8.0"}, 32 * MIB),  # AMD's, too, are sold with it
    ],
)
def test_blackwell_has_the_larger_one_since_torch_2_11(gpu: str, versions: dict[str, str], taken: int) -> None:
    card = find_gpu(gpu)
    assert not isinstance(card, UnknownName)
    assert workspace_of(card, versions) == taken
