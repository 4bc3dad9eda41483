"""A run that notes where its passes go back."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.training import Run


class NotedRun(Run):
    """A run that notes how many events are written where each backward pass begins."""

    def __init__(self, context: Context, programs: Programs) -> None:
        super().__init__(context, programs)
        self.begins: list[int] = []

    def before_loss(self) -> None:
        """Notes the place."""
        self.begins.append(len(self._writer.events.order))
