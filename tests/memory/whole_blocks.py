"""What a ledger has that a trace knows nothing of: how a model is loaded to a GPU, and so how its blocks were split."""

from __future__ import annotations

from toolkit.memory.ledger import Phase


def as_traced(phase: Phase) -> int:
    """The bytes of a phase without the ends of blocks that loading the model leaves unsplit."""
    return phase.total - sum(row.bytes for row in phase.rows if row.name == "unsplit_blocks")
