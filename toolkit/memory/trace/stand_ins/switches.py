"""Where code of transformers turns autocast off for itself, but not on meta tensors (utils/generic.py)."""

from __future__ import annotations

import sys
from types import ModuleType

SWITCH = "maybe_autocast"
"""The name by which it does."""


def modules_with_switches() -> list[ModuleType]:
    """The code of models that has a name for that function, of what has been imported."""
    found = [module for name, module in sys.modules.items() if ".modeling_" in name]
    return [module for module in found if SWITCH in vars(module)]
