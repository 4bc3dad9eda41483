"""The BLAS workspace that a handle takes from PyTorch's allocator: by the card and by the release of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from packaging.version import InvalidVersion, Version

from toolkit.facts.gpu import Card, GenericGpu
from toolkit.facts.gpu_table import table

OF_ROCM = "gfx"
"""The prefix of AMD's architectures."""


def workspace_of(card: Card, versions: Mapping[str, str]) -> int:
    """The largest workspace of a card, in bytes. `versions` are releases by package; by default the newest.

    If they name a release of CUDA, AMD's cards are left out of those that share an amount of memory.

    Source: aten/src/ATen/cuda/CublasHandlePool.cpp, parseChosenWorkspaceSize; its table in data/gpus.json.
    """
    torch = versions.get("torch", "")
    architectures = {member.architecture for member in card.members}
    if isinstance(card, GenericGpu) and "cuda" in versions:
        architectures = {one for one in architectures if not one.startswith(OF_ROCM)} or architectures
    return max(_taken(one, torch) for one in architectures)


@lru_cache(maxsize=256)
def _taken(architecture: str, torch: str) -> int:
    facts = table()["architectures"][architecture]
    before = facts.get("blas_workspace_before")
    taken: int = facts["blas_workspace"]
    if before is None:
        return taken
    try:
        return int(before["bytes"]) if Version(torch) < Version(before["torch"]) else taken
    except InvalidVersion:
        return taken
