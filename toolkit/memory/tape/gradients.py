"""What backward allocates on a tape: gradients of tensors and of weights, and how they add up."""

from __future__ import annotations

from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.live import Live

INCOMING = "activation_gradients"
GRADIENTS = "gradients"
NEW_GRADIENT = "new_gradient"
STEP = "optimizer_temporary"
LOGITS_ROWS = frozenset({"logits", "logits_float32", "log_probabilities"})

BEGUN, ADDED_ANEW, ADDED, ENDED, ENDED_ANEW = "begun", "added anew", "added", "ended", "ended anew"
"""What layers of the same weights do to the sums of their gradients, from the last to the first: the engine adds them
up before a parameter gets any (torch/csrc/autograd/input_buffer.cpp). The first that is added goes into a new tensor:
a matrix's gradient is a view of what its product gave, and has that beside it. All others are added in place."""


class Gradients:
    """The gradients of one stretch, counted among what is alive.

    `accumulates` says that gradients of earlier micro-batches are there. With a `length` all sequences are so long,
    whatever the batch's tokens: frames of a sound. `steps` are the tensors of a parameter's size that its optimizer
    needs where it steps as soon as the gradient is there; None: it does not. `sums` is what a layer whose weights
    others have too does to the sums of their gradients: those that are there, of `sum_sizes`, are `sum_of`.
    """

    def __init__(self, *, accumulates: bool, length: int = 0) -> None:
        self.accumulates = accumulates
        self.length = length
        self.steps: int | None = None
        self.sums = ""
        self.sum_sizes: tuple[Size, ...] = ()
        self.sum_of: list[Buffer] = []
        self._summed: dict[int, tuple[Buffer, int]] = {}
        self._given: set[int] = set()
        self._live = Live()

    def gradient(self, of: Buffer, dtype: str | None = None) -> Buffer:
        """Allocate the gradient of a tensor, in its dtype."""
        size = of.size
        if dtype not in (None, of.dtype):
            size = Size(*[part * BYTES[dtype] // BYTES[of.dtype] for part in of.size])
        row = "logits_gradient" if of.row in LOGITS_ROWS else INCOMING
        return self.fresh(row, size, dtype or of.dtype, of.width)

    def parameter(self, elements: int, dtype: str) -> Buffer:
        """A trained weight, whose gradient has a dtype. With earlier gradients there, a new one is added and freed."""
        row = NEW_GRADIENT if self.accumulates or self.sums in (BEGUN, ADDED_ANEW, ADDED) else GRADIENTS
        size = Size(fixed=elements * BYTES[dtype])
        return Buffer(row, size, 0, dtype, grad=True, counted=False, parameter=True)

    def weight_gradient(self, weight: Buffer, dtype: str) -> Buffer:
        """Allocate the gradient of a trained weight or of its copy in the dtype of the product that makes it."""
        row = weight.row if weight.parameter else NEW_GRADIENT
        return self.fresh(row, weight.size, dtype)

    def fresh(self, row: str, size: Size, dtype: str, width: int = 0) -> Buffer:
        """Allocate a tensor during backward."""
        actual = self._measured(size)
        buffer = Buffer(row, actual, width, dtype, grad=False)
        self._live.add(row, actual)
        return buffer

    def _measured(self, size: Size) -> Size:
        """A size where sequences have a length of their own."""
        return size.of_length(self.length) if self.length else size

    def share(self, gradient: Buffer, target: Buffer) -> Buffer:
        """Hand a gradient on as it is, or as a cast copy where the target has another dtype."""
        if gradient.dtype != target.dtype:
            return self.gradient(target)
        gradient.references += 1
        return gradient

    def handed(self, gradient: Buffer) -> Buffer:
        """Hand a gradient on as it is, as one of more or of less: a part of it, or what is spread out from it."""
        gradient.references += 1
        return gradient

    def kept(self, gradient: Buffer, parameter: Buffer) -> Buffer:
        """Hand a gradient on to a parameter, which has it as it is, or a part of it, and all of its storage."""
        self._live.remove(gradient.row, gradient.size)
        gradient.row = parameter.row
        self._live.add(gradient.row, gradient.size)
        gradient.references += 1
        return gradient

    def discard(self, buffer: Buffer) -> None:
        """Free a tensor that was allocated during backward."""
        self._release(buffer)

    def _accumulate(self, pending: dict[int, Buffer], target: Buffer, contribution: Buffer) -> None:
        existing = pending.get(id(target))
        if self.sums and target.multiplies:
            self._add_up(contribution)
            if self.sums not in (ENDED, ENDED_ANEW):
                return
        if target.parameter:
            if self.steps is not None:
                self._step(target, contribution)
            elif self.accumulates or id(target) in self._given:  # added to what is there, and freed
                self._release(contribution)
            self._given.add(id(target))
        elif existing is None:
            pending[id(target)] = contribution
        elif existing.references == 1 and not existing.reshaped:
            # The engine adds in place to what alone has its storage (input_buffer.cpp, can_accumulate_inplace).
            self._release(contribution)
        else:
            total = self.fresh(existing.row, existing.size, existing.dtype, existing.width)
            self._release(existing)
            self._release(contribution)
            pending[id(target)] = total

    def find_sums(self) -> None:
        """The sums that later layers have begun are there while this one goes back."""
        self.sum_of += [self.fresh(NEW_GRADIENT, size, "") for size in self.sum_sizes]

    def _add_up(self, contribution: Buffer) -> None:
        """Add a gradient to its sum, or begin one; what ends a sum stands for it from then on."""
        if self.sums == BEGUN:
            self.sum_of.append(contribution)
            return
        there = next(one for one in self.sum_of if one.size == contribution.size)
        self.sum_of.remove(there)
        if self.sums in (ADDED_ANEW, ENDED_ANEW):
            total = self.fresh(NEW_GRADIENT, there.size, there.dtype)
            self._release(there)
            there = total
        if self.sums in (ENDED, ENDED_ANEW):
            self._release(there)
            return
        self._release(contribution)
        self.sum_of.append(there)

    def _step(self, target: Buffer, contribution: Buffer) -> None:
        """The optimizer of a parameter steps once its last gradient is there: until then the engine sums them up."""
        total, left = self._summed.get(id(target), (contribution, target.uses))
        if total is not contribution:
            self._release(contribution)
        if left > 1:
            self._summed[id(target)] = total, left - 1
            return
        if self.steps:
            self._live.add(STEP, total.size.times(self.steps))
            self._live.remove(STEP, total.size.times(self.steps))
        self._release(total)

    def _release(self, buffer: Buffer) -> None:
        buffer.references -= 1
        if buffer.references == 0 and buffer.counted:
            self._live.remove(buffer.row, buffer.size)
