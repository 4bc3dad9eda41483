"""Random numbers and tests of values by which a model's code decides what to do: made and read on the CPU.

What a trace runs decides as nearly every step does: no layer is left out, and nothing is infinite.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def chance(*size: Any, **given: Any) -> torch.Tensor:
    """Random numbers; a single one is made on the CPU, and code decides by it whether to leave out a layer: never."""
    alone = size in (([],), ((),), (1,)) or given.get("size") in ([], ())
    return torch.ones((), device="cpu") if alone else torch.rand(*size, **given)


def choice(*size: Any, **given: Any) -> torch.Tensor:
    """Random integers; a single one is made on the CPU, and read (peft, BOFT's dropout)."""
    alone = size[-1:] == ((1,),)
    return torch.zeros(1, dtype=torch.long, device="cpu") if alone else torch.randint(*size, **given)


def infinite(values: torch.Tensor) -> torch.Tensor:
    """Which values are infinite: none, as what peft asks for is whether logits of VB-LoRA were left out."""
    torch.isinf(values)
    return torch.zeros(values.shape, dtype=torch.bool, device="cpu")


@contextmanager
def distributions_unread() -> Iterator[None]:
    """Distributions check single values that they are given (of which Gemma 3n asks a normal one for a quantile)."""
    checks = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(value=False)
    try:
        yield
    finally:
        torch.distributions.Distribution.set_default_validate_args(value=checks)
