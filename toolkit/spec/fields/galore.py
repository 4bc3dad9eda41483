"""The fields of GaLore, whose optimizers work on low-rank projections of gradients: data only, one entry a field."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Integer, Kind
from toolkit.spec.fields.named_kind import Targets

_STATES = ("optimizer_states", "temporary", "time")


def galore_fields() -> Iterator[FieldSpec]:
    """Every field of `galore`, with the defaults of transformers (trainer_optimizer.py, _get_galore_optimizer)."""
    yield _field("rank", Integer("a positive integer", 1, 65_536), "The rank of the projection; 128 in transformers.",
                 "128", _STATES)  # fmt: skip
    yield _field(
        "targets",
        Targets("all-linear or a list of parts of module names"),
        "The linear layers whose gradients are projected: all, or those with one of these in their names.",
        "[attn, mlp]",
        _STATES,
    )
    yield _field(
        "update_proj_gap",
        Integer("a positive integer", 1, 10**9),
        "Steps between updates of the projection; 200 in transformers. Memory peaks at an update.",
        "200",
        ("time",),
    )


def _field(name: str, kind: Kind, doc: str, example: str, affects: tuple[str, ...]) -> FieldSpec:
    return FieldSpec(f"galore.{name}", kind, doc, (example,), frozenset(affects), "galore")
