"""Steps of optimizers that go through their tensors one after the other, as events.

A name is bound until the next tensor gives it another value, which is there before the old one goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from toolkit.memory.formula.optimizers.galore import is_projected, low_rank, rank_of
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Setting

HALF, WIDE = BYTES["bf16"], BYTES["fp32"]

ITERATIONS = 5
"""Of Newton and Schulz (torch/optim/_muon.py, DEFAULT_NS_STEPS)."""

States = Callable[[Trained], tuple[int, ...]]


def correct(events: Events, sizes: Iterable[int]) -> None:
    """Torch's for-loop AdamW: a root and its quotient, whose name stays (torch/optim/adam.py, _single_tensor_adam)."""
    bound = 0
    for size in sizes:
        root, quotient = events.allocate(size), events.allocate(size)
        events.release_all((root, bound))
        bound = quotient
    events.release(bound)


def root_alone(events: Events, sizes: Iterable[int]) -> None:
    """Torch's for-loop RMSprop and Adagrad: a root, whose name stays (torch/optim/rmsprop.py, adagrad.py)."""
    bound = 0
    for size in sizes:
        root = events.allocate(size)
        events.release(bound)
        bound = root
    events.release(bound)


def signs(events: Events, trained: Iterable[Trained], item: int, states: States) -> None:
    """lion-pytorch: a copy of the momentum and its sum with the gradient, each tensor by itself (update_fn)."""
    for tensor in trained:
        events.allocate_all(states(tensor))
        copy, total = (events.allocate(tensor.elements * item) for _ in range(2))
        events.release_all((copy, total))


def orthogonalize(events: Events, trained: Iterable[Trained], gradients: str) -> None:
    """Muon's updates (torch/optim/_muon.py): all names of the iteration are bound until it gives them new values.

    The update is made in the dtype of the gradient, of which the iteration makes a bfloat16 copy unless it has it.
    """
    update = 0
    for tensor in trained:
        whole, square = tensor.elements * HALF, min(tensor.shape) ** 2 * HALF
        given = events.allocate(tensor.elements * BYTES[gradients])
        events.release(update)
        update = events.allocate(whole if gradients != "bf16" else 0)
        products: tuple[Block, Block] = (0, 0)
        for _ in range(ITERATIONS):
            product = events.allocate(square)
            events.release(products[0])
            total = events.allocate(square)
            events.release(products[1])
            products = product, total
            better = events.allocate(whole)
            events.release(update)
            update = better
        events.release_all((*products, given))
    events.release(update)


def decompose(events: Events, trained: Iterable[Trained], setting: Setting, states: States, *, first: bool) -> None:
    """GaLore's AdamW (galore_torch/adamw.py): what is not projected, then what is, which makes its projector anew.

    The `first` step makes the projector that stays, among the states.
    """
    item = BYTES[setting.gradients]
    forms = [(one, is_projected(one, setting)) for one in trained]
    gradient = root = quotient = 0
    for tensor, projects in sorted(forms, key=lambda form: form[1]):
        size, made = tensor.elements * item, states(tensor)
        events.release(gradient)
        gradient = 0
        if projects:
            size = low_rank(tensor, setting) * item
            _project(events, tensor, setting, stays=first)
            gradient, made = events.allocate(size), made[:2]
        events.allocate_all(made)
        new = events.allocate(size)
        events.release(root)
        root, new = new, events.allocate(size)
        events.release(quotient)
        quotient = new
        if projects:  # projected back, and scaled
            back, scaled = (events.allocate(tensor.elements * item) for _ in range(2))
            events.release_all((back, quotient))
            quotient = scaled
    events.release_all((gradient, root, quotient))


def _project(events: Events, tensor: Trained, setting: Setting, *, stays: bool) -> None:
    """GaLore's projector (galore_projector.py, get_orthogonal_matrix); one that is made again is gone with the old.

    A 16-bit gradient is made float32; the vectors of the first side come before those of the second. Of a float32 one
    all vectors of the shorter side are the projector.
    """
    narrow = setting.gradients != "fp32"
    side, rank = min(tensor.shape), rank_of(tensor, setting)
    copy = events.allocate(tensor.elements * WIDE if narrow else 0)
    rows, columns = tensor.shape
    first, second = (events.allocate(one * side * WIDE) for one in (rows, columns))
    events.release(events.allocate(tensor.elements * WIDE))  # for cuSOLVER, column by column
    values = events.allocate(rank * rank * WIDE)
    unused = events.allocate(low_rank(tensor, setting) * WIDE)
    shorter, longer = (second, first) if rows >= columns else (first, second)
    made = events.allocate(rank * side * BYTES[setting.gradients]) if narrow else shorter
    events.release_all((copy, values, unused, longer, shorter if narrow else 0, 0 if stays else made))
