"""One measurement at a time on a card: others of this machine wait."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def card_alone(folder: Path | None = None) -> Iterator[None]:
    """Holds a lock named after the card that processes started from here would use; released however this one ends."""
    try:
        import fcntl
    except ImportError:  # only Linux has both NVIDIA's data-centre cards and this
        yield
        return
    card = re.sub(r"[^A-Za-z0-9-]", "_", os.environ.get("CUDA_VISIBLE_DEVICES", "0"))[:80]
    path = (folder or Path(tempfile.gettempdir())) / f"vram-toolkit-{os.getuid()}-{card}.lock"
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
