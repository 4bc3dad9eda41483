"""A device's streams: they order work that nobody does, but memory of one is never another's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

DEFAULT = 0


class Event:
    """Something to wait for: it has always happened."""

    def record(self, stream: DeviceStream | None = None) -> None:
        """Nothing to do."""

    def wait(self, stream: DeviceStream | None = None) -> None:
        """Nothing to do."""


class DeviceStream:
    """A stream, by its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def record_event(self) -> Event:
        """An event of this stream."""
        return Event()

    def wait_event(self, event: Event) -> None:
        """Nothing to do."""

    def wait_stream(self, stream: DeviceStream) -> None:
        """Nothing to do."""


class Streams:
    """Stands for the module of a device (`torch.cuda`) where code makes streams and switches between them."""

    Event = Event

    def __init__(self) -> None:
        self._made = 1
        self._current = DeviceStream(DEFAULT)

    def Stream(self, priority: int = 0) -> DeviceStream:  # noqa: N802, ARG002 - torch's own name
        """One more stream."""
        self._made += 1
        return DeviceStream(self._made - 1)

    def current_stream(self) -> DeviceStream:
        """The stream that work goes to."""
        return self._current

    @contextmanager
    def stream(self, stream: DeviceStream) -> Iterator[None]:
        """Sends work to a stream."""
        before, self._current = self._current, stream
        try:
            yield
        finally:
            self._current = before
