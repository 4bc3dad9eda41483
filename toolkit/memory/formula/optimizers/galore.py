"""GaLore: optimizers that keep moments of low-rank projections of gradients, and the projectors.

Source: galore_torch 1.0 (galore_projector.py, adamw.py, adamw8bit.py, adafactor.py) as transformers 5.23 sets it up
(trainer_optimizer.py); arXiv 2403.03507. A matrix of m x n is projected along its longer side: r x max(m, n) elements
stay. The projector is the r first singular vectors of the shorter side; of a float32 gradient it is a view of all of
them, min(m, n) squared, which stay with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toolkit.frozen import frozen
from toolkit.memory.formula.optimizers.adafactor import WIDE, factors
from toolkit.memory.formula.optimizers.own_steps import apollo_states, scaled_gradients
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, in_8_bit
from toolkit.memory.weights.sums import Trained, in_turn
from toolkit.spec.settings.setting import Galore, Setting


@frozen
class Moment:
    """Bytes of each tensor that is there at a moment of the step: of the update, and of a projector that is made.

    `freed` are the bytes of gradients that are gone by then.
    """

    update: tuple[int, ...]
    projector: tuple[int, ...] = ()
    freed: int = 0

    @property
    def total(self) -> int:
        """What is there more than before the step."""
        return sum(self.update) + sum(self.projector) - self.freed


def is_projected(tensor: Trained, setting: Setting) -> bool:
    """Whether the gradient of a tensor is projected: the weight of a linear layer, by its name."""
    targets = _galore(setting).targets
    return bool(tensor.linear) and (targets == "all-linear" or any(part in tensor.linear for part in targets))


def _galore(setting: Setting) -> Galore:
    if setting.galore is None or setting.method != "full":
        raise UnsupportedRow("optimizer_states", f"no formula for {setting.optimizer} with method {setting.method}")
    if any(part.isdecimal() for target in _named(setting.galore) for part in target.split(".")):
        raise UnsupportedRow("optimizer_states", "no formula for GaLore in some layers alone")
    return setting.galore


def _named(galore: Galore) -> tuple[str, ...]:
    return galore.targets if isinstance(galore.targets, tuple) else ()


def projected_blocks(tensor: Trained, setting: Setting) -> tuple[int, ...]:
    """The states of a projected tensor, in bytes: moments of r x max(m, n), and the projector."""
    if setting.optimizer == "apollo_adamw":
        *moments, projector = apollo_states(tensor, _galore(setting).rank)
        return (*(one * BYTES[setting.optimizer_states] for one in moments), projector * BYTES[setting.gradients])
    low, projector = low_rank(tensor, setting), _projector(tensor, setting)
    if setting.optimizer == "galore_adafactor":
        return rank_of(tensor, setting) * WIDE, max(tensor.shape) * WIDE, projector
    moment = in_8_bit(low) if setting.optimizer.endswith("_8bit") else low * BYTES[setting.optimizer_states]
    return moment, moment, projector


def rank_of(tensor: Trained, setting: Setting) -> int:
    """How many vectors a projector has."""
    return min(_galore(setting).rank, *tensor.shape)


def low_rank(tensor: Trained, setting: Setting) -> int:
    """Elements of a projected gradient."""
    return rank_of(tensor, setting) * max(tensor.shape)


def _projector(tensor: Trained, setting: Setting) -> int:
    side = min(tensor.shape)
    if _decomposed(setting) == "fp32":
        return side * side * WIDE
    return rank_of(tensor, setting) * side * BYTES[setting.gradients]


def _decomposed(setting: Setting) -> str:
    """The dtype of the gradient that is decomposed: Adafactor works in float32."""
    return "fp32" if setting.optimizer == "galore_adafactor" else setting.gradients


def fullest_projection(trained: Iterable[Trained], setting: Setting) -> Moment:
    """The fullest moment of a step that makes its projectors anew, as the first does, and one in update_proj_gap."""
    found = STEPS[setting.optimizer](list(_in_turn(trained, setting)), setting)
    return max(found, key=lambda moment: moment.total, default=Moment(()))


def _in_turn(trained: Iterable[Trained], setting: Setting) -> Iterator[tuple[Trained, bool]]:
    """What is not projected, then what is: the order of transformers' groups, with two layers for all of them."""
    forms = [(one, is_projected(one, setting)) for one in trained]
    for projected in (False, True):
        yield from ((one, projected) for one in in_turn(one for one, said in forms if said is projected))


def _decomposition(tensor: Trained, setting: Setting) -> Iterator[tuple[int, ...]]:
    """What a projector needs while it is made: torch.linalg.svd's copy and vectors, then what is made of them.

    The first copy makes a 16-bit gradient float32; the second is for cuSOLVER, column by column
    (aten/src/ATen/native/cuda/linalg/BatchLinearAlgebraLib.cpp, svd_cusolver).
    """
    dtype, side, rank = _decomposed(setting), min(tensor.shape), rank_of(tensor, setting)
    whole, vectors = tensor.elements * WIDE, tensor.elements * WIDE + side * side * WIDE
    copy = () if dtype == "fp32" else (whole,)
    unused = low_rank(tensor, setting) * WIDE  # the vectors of the other side times the singular values
    yield *copy, whole, vectors
    yield *copy, vectors, rank * rank * WIDE, unused
    if copy:
        yield *copy, vectors, unused, rank * side * BYTES[dtype]


def _apollo(turns: list[tuple[Trained, bool]], setting: Setting) -> Iterator[Moment]:
    yield from (Moment(one) for one in scaled_gradients(turns, _galore(setting).rank, BYTES[setting.gradients]))


def _adamw(turns: list[tuple[Trained, bool]], setting: Setting) -> Iterator[Moment]:
    """adamw.py: names of the parameter before are bound until they are bound anew: its denominator and its update."""
    item = BYTES[setting.gradients]
    held = (0, 0)
    for tensor, projected in turns:
        whole, low = tensor.elements * item, 0
        if projected:
            yield from (Moment(held, blocks) for blocks in _decomposition(tensor, setting))
            low = low_rank(tensor, setting) * item
        size = low or whole
        yield Moment((*held, low, size))
        yield Moment((size, held[1], low, size))
        if projected:  # the quotient is projected back, and scaled
            yield Moment((size, low, size, whole, whole))
        held = (size, whole)


def _adamw_8bit(turns: list[tuple[Trained, bool]], setting: Setting) -> Iterator[Moment]:
    """adamw8bit.py: a weight is put aside while one of the projection's shape is updated; gradients become low-rank."""
    item = BYTES[setting.gradients]
    freed = before = 0
    for tensor, projected in turns:
        if not projected:
            continue  # bitsandbytes updates it in place
        whole, low = tensor.elements * item, low_rank(tensor, setting) * item
        yield from (Moment((before,), blocks, freed) for blocks in _decomposition(tensor, setting))
        yield Moment((before, low, whole, low), freed=freed)
        freed += whole
        yield Moment((before, low, low, whole, whole), freed=freed)
        before += low


def _adafactor(turns: list[tuple[Trained, bool]], setting: Setting) -> Iterator[Moment]:
    """adafactor.py: float32 copies of a 16-bit gradient and weight; the update of the parameter before is still bound.

    So is the copy of its weight, until the next is made.
    """
    copies = setting.gradients != "fp32"
    update = weight = 0
    for tensor, projected in turns:
        whole = tensor.elements * WIDE
        gradient = whole if copies else 0
        yield Moment((update, weight, gradient))
        low = whole
        if projected:
            yield from (Moment((update, weight, gradient), blocks) for blocks in _decomposition(tensor, setting))
            low = low_rank(tensor, setting) * WIDE
            yield Moment((update, weight, gradient, low))
            gradient = low
        copy = whole if copies else 0
        yield Moment((update, gradient, copy, low, low))
        shape = (rank_of(tensor, setting), max(tensor.shape)) if projected else tensor.shape
        yield Moment((gradient, copy, low, low, factors(shape) * WIDE))
        if projected:
            yield Moment((gradient, copy, low, whole, whole))
        yield Moment((gradient, copy, whole, whole))
        update, weight = whole, copy


STEPS = {
    "apollo_adamw": _apollo,
    "galore_adamw": _adamw,
    "galore_adamw_8bit": _adamw_8bit,
    "galore_adafactor": _adafactor,
}
"""The moments of a step, by optimizer."""
