"""Which models may have their token embedding in a unit of its own under FSDP (parallel.wraps_embeddings).

A policy that names torch's Embedding makes a unit of each module of that class. Source: torch/distributed/fsdp/wrap.py,
transformer_auto_wrap_policy.
"""

from __future__ import annotations

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.parallel.two_stacks import has_two
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.sums import shares_output
from toolkit.spec.settings.setting import Setting


def refuse_apart(architecture: Architecture, setting: Setting) -> None:
    """Raises UnsupportedRow for a run whose embeddings are units in a way that is not followed."""
    if setting.parallel.wraps_embeddings and (what := _unknown(architecture, setting)):
        raise UnsupportedRow("parallel", f"no formula for {what} with embeddings as units of their own yet")


def _unknown(architecture: Architecture, setting: Setting) -> str:
    """What of a run nobody knows; empty if all is known."""
    tables = [one for one in architecture.modules if one.kind is ModuleKind.EMBEDDING]
    found = {
        f"method {setting.method}": setting.method != "full",
        "an encoder and a decoder": has_two(architecture),
        "several embeddings": len(tables) != 1,
        "an output weight that is the embedding's": shares_output(architecture),
    }
    return next((what for what, is_so in found.items() if is_so), "")
