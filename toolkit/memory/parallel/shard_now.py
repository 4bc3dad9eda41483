"""What is gathered, being reduced and reduced already at one moment of a backward pass under fully_shard.

Source: torch/distributed/fsdp/_fully_shard/_fsdp_param_group.py (torch 2.13), post_backward.
"""

from __future__ import annotations

from toolkit.frozen import frozen


@frozen
class Now:
    """A moment of backward: what is gathered and gathered ahead, what is being reduced, and gradients.

    `parts` are a GPU's of those that were reduced, `fresh` those that are still to be; the `newest` part is beside that
    of an earlier micro-batch, to which it is added. `gone` are the whole gradients that parts were made of, where those
    of all micro-batches were summed; the `first` of them leaves so many at that moment.
    """

    held: int
    ahead: int
    sent: int = 0
    parts: int = 0
    fresh: int = 0
    newest: int = 0
    gone: int = 0
    first: int = 0

    def gradients(self, whole: int, earlier: int, *, repeats: bool) -> tuple[int, int]:
        """The bytes of gradients, and of what is being reduced.

        Whole ones that are reduced after the last micro-batch go then, unit by unit; before, all are there and nothing
        is sent. `earlier` is a GPU's part of all, where every micro-batch's are reduced. `repeats` says that there is a
        micro-batch between the first and the last.
        """
        there = ((earlier + self.newest) if earlier else self.parts) + self.fresh
        if not whole:
            return there, self.sent
        last = whole - self.gone + there
        before = whole + self.fresh if repeats else self.first
        return (before, 0) if before >= last + self.sent else (last, self.sent)
