"""What a finding code means, for `toolkit explain` and the documentation."""

from __future__ import annotations

from toolkit.frozen import frozen


@frozen
class Code:
    """A code that a finding or a claim may carry. Codes are never reused for something else."""

    code: str
    title: str
    why: str
    repair: str
    example: str
