"""Steps of optimizers that go through their tensors one after the other: what is asked for and let go, by hand."""

from __future__ import annotations

from toolkit.memory.replay.events import Events
from toolkit.memory.replay.loops import correct, decompose, orthogonalize, root_alone, signs
from toolkit.memory.replay.orders import peak, reserved
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Galore, Setting

MIB = 1 << 20
SQUARE = Trained((4096, 4096), 1)
"""A matrix of 32 MiB in bfloat16."""
LONG = Trained((1024, 8192), 1)
"""One of 16 MiB, whose shorter side squared is 2 MiB."""


def _written(events: Events) -> list[int]:
    """What is asked for, and let go of as a negative number, in MiB."""
    return [events.sizes[abs(event)] // MIB * (1 if event > 0 else -1) for event in events.order]


def test_a_name_is_bound_until_the_next_tensor_has_it() -> None:
    """AdamW makes a root and a quotient; the root goes at once, the quotient of the tensor before only then."""
    events = Events()
    correct(events, [8 * MIB, 4 * MIB])
    assert _written(events) == [8, 8, -8, 4, 4, -4, -8, -4]
    assert peak(events) == 16 * MIB


def test_a_root_alone_is_there_beside_the_one_before() -> None:
    events = Events()
    root_alone(events, [8 * MIB, 4 * MIB])
    assert _written(events) == [8, 4, -8, -4]


def test_signs_leave_nothing_between_tensors_but_states() -> None:
    events = Events()
    signs(events, [SQUARE, LONG], 2, lambda one: (one.elements * 2,))
    assert _written(events) == [32, 32, 32, -32, -32, 16, 16, 16, -16, -16]


def test_muon_iterates_on_the_gradients_own_copy() -> None:
    """In bfloat16 the update is what the iteration begins with, held by its caller until the iteration is over.

    Each of five iterations makes two products of 2 MiB and a better update of 16, beside those of the one before.
    """
    events = Events()
    orthogonalize(events, [LONG], "bf16")
    first, later = [2, 2, 16], [2, -2, 2, -2, 16, -16]
    assert _written(events) == [16, *first, *later * 4, -2, -2, -16, -16]
    wide = Events()
    orthogonalize(wide, [LONG], "fp32")
    assert _written(wide)[:6] == [32, 16, 2, 2, 16, -16]


def test_muon_finds_the_blocks_of_the_matrix_before() -> None:
    """Its updates of many matrices take no more than those of the largest and what is left of the one before."""
    once, often = Events(), Events()
    orthogonalize(once, [SQUARE], "bf16")
    orthogonalize(often, [SQUARE] * 10, "bf16")
    assert peak(often) == peak(once) == 32 * 5 * MIB
    assert reserved(often)[0] == reserved(once)[0]


def test_galore_makes_a_projector_with_what_its_decomposition_needs() -> None:
    """Of a bfloat16 gradient of 1,024 x 8,192: a copy of 32 MiB, 4 MiB and 32 MiB of vectors, and a copy of 32 MiB.

    Projected to rank 128 it has 2 MiB, as has each moment.
    """
    setting = Setting("a/b", "full", "bf16", optimizer="galore_adamw", galore=Galore(128, ("mlp",)))
    tensor = Trained((1024, 8192), 1, linear="mlp.up_proj")
    low, projector = 128 * 8192 * 2, 128 * 1024 * 2
    events = Events()
    decompose(events, [tensor], setting, lambda _: (low, low, projector), first=True)
    written = [size for size in _written(events) if size]
    assert written[:5] == [32, 4, 32, 32, -32]
    assert written[-7:] == [16, 16, -16, -2, -2, -2, -16]
    assert sum(written) == 2 + 2  # the moments stay; the projector has less than one
