"""Fixtures of several tests of the checks."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_process_is_left() -> Iterator[None]:
    """Fails a test that leaves a child process behind, running or not waited for."""
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
