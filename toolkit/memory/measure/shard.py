"""Parts of a campaign for several machines, told by names alone: no machine needs to know of the others."""

from __future__ import annotations

import hashlib
import re

from toolkit.frozen import frozen

FORM = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})")
WRITTEN = "written as K/N with K from 1 to N, such as 2/5"


@frozen
class Shard:
    """The `number`-th of so many parts."""

    number: int
    parts: int

    def has(self, name: str) -> bool:
        """Whether something of that name belongs to this part; the same on every machine, unlike `hash`."""
        found = hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8]
        return int.from_bytes(found) % self.parts == self.number - 1


def parsed_shard(text: str) -> Shard | None:
    """The part that "2/5" names; None for what names none."""
    found = FORM.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        return None
    return Shard(int(found[1]), int(found[2]))
