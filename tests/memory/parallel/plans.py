"""Releases of transformers whose split of matrices the formulas and the trace follow."""

from __future__ import annotations

import pytest
from packaging.version import Version

from toolkit.memory.parallel.covered import SPLITS_EMBEDDINGS


def skip_without_plans() -> None:
    """Skips where the installed release splits models in another way."""
    transformers = pytest.importorskip("transformers")
    if Version(transformers.__version__) < SPLITS_EMBEDDINGS:
        pytest.skip(f"transformers before {SPLITS_EMBEDDINGS} splits models in another way")
