"""Reads as names one form of pattern for module names, which example configurations of many models share.

peft matches a single text as a regular expression against the whole name of every module. A stranger's expression is
not run here; one that lists parts of a layer and their projections is replaced by the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_DOT = r"\\?\."
_PATTERN = re.compile(
    rf"(?P<place>(?:\w+{_DOT}){{0,6}}?)layers{_DOT}(?:\[\\d\]\+|\\d\+){_DOT}(?:\(_checkpoint_wrapped_module{_DOT}\)\?)?"
    rf"(?:\((?P<parts>\w+(?:\|\w+)*)\)|(?P<part>\w+)){_DOT}"
    r"(?:\((?P<kinds>\w+(?:\|\w+)*)\)|(?P<kind>[a-z]+))_proj"
)
"""layers.[\\d]+.(mlp|self_attn).(up|down|q|k)_proj, after the names of the modules that contain the layers."""

MAX_PATTERN = 300

INSIDE: Mapping[str, tuple[str, ...]] = {
    "self_attn": ("q", "k", "v", "o"),
    "mlp": ("gate", "up", "down"),
    "cross_attn": (),
}
"""The projections of each part of a decoder layer; the families of these examples have no cross-attention."""


def names_of(pattern: str) -> tuple[str, ...] | None:
    """The names that a pattern of that form stands for; None where it has another."""
    found = _PATTERN.fullmatch(pattern) if len(pattern) <= MAX_PATTERN else None
    if found is None:
        return None
    parts = (found["parts"] or found["part"]).split("|")
    kinds = (found["kinds"] or found["kind"]).split("|")
    if any(part not in INSIDE for part in parts) or any(not _is_known(kind) for kind in kinds):
        return None
    return tuple(f"{part}.{kind}_proj" for part in parts for kind in INSIDE[part] if kind in kinds) or None


def _is_known(kind: str) -> bool:
    return any(kind in inside for inside in INSIDE.values())
