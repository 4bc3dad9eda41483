"""The kind of value that says how many of something several parts have each: a list, written as names are."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.spec.fields.kind import Schema
from toolkit.spec.fields.named_kind import ModuleNames
from toolkit.spec.yaml.node import Items
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import read_integer

MOST_PARTS, MOST_EACH = 4096, 100_000


@frozen
class Counts(ModuleNames):
    """A list of positive integers, one for each part."""

    wanted: str = "a list such as [9, 9, 8]"

    def _names(self, raw: Items) -> tuple[str, ...]:
        if not 0 < len(raw) <= MOST_PARTS:
            raise refusal("S104", f"{len(raw)} numbers are not a list of 1 to {MOST_PARTS} of them")
        return tuple(str(read_integer(one, "a positive integer", 1, MOST_EACH)) for one in raw)

    def schema(self) -> Schema:
        """A list of integers."""
        item = {"type": "integer", "minimum": 1, "maximum": MOST_EACH}
        return {"type": "array", "items": item, "minItems": 1, "maxItems": MOST_PARTS}
